package connect

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/redis/go-redis/v9"
)

func replyCases() map[string]bool {
	return map[string]bool{
		"+OK\r\n": true, "-ERR no\r\n": true, ":-12\r\n": true, "_\r\n": true, ",1.5\r\n": true, "#t\r\n": true, "(123\r\n": true,
		"$5\r\nhello\r\n": true, "$0\r\n\r\n": true, "$-1\r\n": true, "*-1\r\n": true, "*0\r\n": true, "%0\r\n": true, "!3\r\nERR\r\n": true, "=7\r\ntxt:abc\r\n": true,
		"*2\r\n$11\r\n*2000000000\r\n:1\r\n:5\r\n":                        true, // a text is a text
		"~2\r\n:1\r\n:2\r\n%1\r\n+a\r\n*1\r\n:1\r\n":                      true,
		">3\r\n+message\r\n+a\r\n$1\r\nb\r\n":                             true,
		strings.Repeat("*1\r\n", maxNesting) + ":1\r\n":                   true,
		strings.Repeat("*1\r\n", maxNesting+1) + ":1\r\n":                 false,
		strings.Repeat("*2\r\n:1\r\n", maxNesting) + ":1\r\n*1\r\n:1\r\n": true,
		"+" + strings.Repeat("x", maxReplyLine-3) + "\r\n":                true,
		"+" + strings.Repeat("x", maxReplyLine) + "\r\n":                  false,
		"*2000000000\r\n":            false,
		"$9000000000\r\n":            false,
		"%1000000000\r\n":            false,
		"~2000000000\r\n":            false,
		">2000000000\r\n":            false,
		"=2000000000\r\n":            false,
		"!2000000000\r\n":            false,
		"|1\r\n+a\r\n+b\r\n:1\r\n":   false,
		"$?\r\n;4\r\nabcd\r\n;0\r\n": false,
		"*?\r\n:1\r\n.\r\n":          false,
		"*+2000000000\r\n":           false,
		"$18446744073709551617\r\n":  false,
		"*-2\r\n":                    false,
		"$-11\r\n":                   false,
		"$\r\n":                      false,
		"$-\r\n":                     false,
		"$5\nhello\r\n":              false,
		"$5\r\r\n":                   false,
		"$ 5\r\n":                    false,
		"$0x5\r\n":                   false,
		"rubbish\r\n":                false,
		"*2\r\n" + strings.Repeat("*1000000\r\n", 3):                                 false, // their sum
		strings.Repeat("*1000000\r\n", 3):                                            false,
		"*1\r\n$" + strconv.Itoa(maxReply) + "\r\n":                                  false,
		"$" + strconv.Itoa(maxReply) + "\r\n":                                        true,
		"*3\r\n+a\r\n$" + strconv.Itoa(maxReply/2) + "\r\n" + "x":                    true,
		"*1\r\n-READONLY x\r\n$3\r\nabc\r\n*1000000\r\n":                             true,
		"*1\r\n-READONLY x\r\n$3\r\nabc\r\n*100000000\r\n":                           false,
		strings.Repeat("$100000\r\n"+strings.Repeat("y", 100_000)+"\r\n", 2000)[:99]: true,
	}
}

// What a server announces ends its connection when it is more than any answer has,
// however it comes.
func TestAnnouncedReplies(t *testing.T) {
	for text, want := range replyCases() {
		for _, step := range []int{len(text), 1, 2, 3, 7} {
			r := replies{all: new(connections)}
			got := true
			for rest := text; rest != "" && got; rest = rest[min(step, len(rest)):] {
				got = r.admits([]byte(rest[:min(step, len(rest))]))
			}
			if got != want {
				t.Errorf("%.60q by %d: passes %t", text, step, got)
			}
			r.end()
			if n := r.all.taken.Load(); n != 0 {
				t.Errorf("%.60q by %d: %d remain taken", text, step, n)
			}
		}
	}
}

// Replies that are read at the same time share one bound, and give back what they
// took of it, with their end or with that of their connection.
func TestAnnouncedRepliesTogether(t *testing.T) {
	all := new(connections)
	large := "$" + strconv.Itoa(maxReply) + "\r\n"
	var conns []*boundConn
	open := func() *boundConn {
		here, there := net.Pipe()
		conn, err := all.bounding(func(context.Context, string, string) (net.Conn, error) { return here, nil })(t.Context(), "", "")
		must(t)(err)
		go func() { _, _ = io.WriteString(there, large) }()
		conns = append(conns, conn.(*boundConn))
		return conns[len(conns)-1]
	}
	failed := 0
	for range 4 {
		if _, err := open().Read(make([]byte, 64)); errors.Is(err, errAnnounced) {
			failed++
		}
	}
	if failed == 0 || failed == 4 {
		t.Errorf("%d of 4 large replies were refused", failed)
	}
	for _, c := range conns {
		must(t)(c.Close())
	}
	if n := all.taken.Load(); n != 0 {
		t.Errorf("%d remain taken", n)
	}
	if _, err := open().Read(make([]byte, 64)); err != nil {
		t.Errorf("after the others have ended: %v", err)
	}
	must(t)(conns[len(conns)-1].Close())
}

// talk has a client ask a server that answers a command with these bytes. What it
// says before, when the connection is made, is right.
func talk(said []byte, ask func(redis.UniversalClient)) {
	client := redis.NewClient(&redis.Options{
		MaxRetries: -1, DisableIdentity: true, PoolSize: 1, ReadBufferSize: 4096, WriteBufferSize: 4096,
		Dialer: new(connections).bounding(func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go func() {
				defer func() { _ = there.Close() }()
				in := bufio.NewReader(there)
				for {
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					switch strings.ToLower(strings.TrimSpace(line)) {
					case "hello":
						_, _ = io.WriteString(there, "-ERR unknown command\r\n")
					case "asked":
						_, _ = there.Write(said)
						return
					}
				}
			}()
			return here, nil
		}),
	})
	ask(client)
	_ = client.Close()
}

func askers() []func(redis.UniversalClient) {
	ctx := context.Background()
	return []func(redis.UniversalClient){
		func(c redis.UniversalClient) { c.EvalShaRO(ctx, "sha", []string{"asked"}) },
		func(c redis.UniversalClient) { c.XRead(ctx, &redis.XReadArgs{Streams: []string{"asked", "0"}}) },
		func(c redis.UniversalClient) {
			pipe := c.Pipeline()
			pipe.EvalRO(ctx, "return 1", []string{"asked"})
			pipe.XRead(ctx, &redis.XReadArgs{Streams: []string{"s", "0"}})
			_, _ = pipe.Exec(ctx)
		},
	}
}

// allocated returns how many bytes were ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// Whatever a server says, the client makes room for no more than the bound.
func FuzzAnnounced(f *testing.F) {
	for text := range replyCases() {
		if len(text) < 4096 && !strings.Contains(text, strconv.Itoa(maxReply)) {
			f.Add([]byte(text), byte(0))
			f.Add([]byte(text), byte(1))
			f.Add([]byte(text), byte(2))
		}
	}
	f.Fuzz(func(t *testing.T, said []byte, how byte) {
		asks := askers()
		before := allocated()
		talk(said, asks[int(how)%len(asks)])
		if grown := allocated() - before; grown > maxReply+(16<<20) {
			t.Errorf("%d bytes were allocated for %q", grown, said)
		}
		whole, parts := replies{all: new(connections)}, replies{all: new(connections)}
		passes, bytewise := whole.admits(said), true
		one := iotest.OneByteReader(strings.NewReader(string(said)))
		for b := make([]byte, 1); bytewise; {
			if _, err := one.Read(b); err != nil {
				break
			}
			bytewise = parts.admits(b)
		}
		if passes != bytewise {
			t.Errorf("%q passes at once: %t, by bytes: %t", said, passes, bytewise)
		}
	})
}

func BenchmarkAnnounced(b *testing.B) {
	text := []byte("*4\r\n$60\r\n" + strings.Repeat("h", 60) + "\r\n$200\r\n" + strings.Repeat("m", 200) + "\r\n$100\r\n" + strings.Repeat("p", 100) + "\r\n:0\r\n")
	r := replies{all: new(connections)}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if !r.admits(text) {
			b.Fatal("refused")
		}
	}
}
