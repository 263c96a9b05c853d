package directory

import (
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
)

const (
	goodHead   = "rev\x0012\x00nonce\x00ab\x00schema\x002"
	goodMember = "rev\x0011.cd\x00name\x00Mark\x00role\x00r\x00provider\x001\x00a:g\x00"
	goodRole   = "rev\x009.ef\x00permissions\x00[\"a:b\"]\x00name\x00R"
)

func TestGoodReply(t *testing.T) {
	facts, err := factsOf([]any{goodHead, goodMember, "", "role", "r", goodRole}, []authz.Key{member("mark"), patient("p")})
	if err != nil || !facts.Get(member("mark")).Found || facts.Get(patient("p")).Found || facts.Revision.String() != "12.ab" ||
		facts.Get(member("mark")).Since.String() != "11.cd" {
		t.Errorf("%+v, %v", facts, err)
	}
}

// A reply that no script gives is an error.
func TestBadReplies(t *testing.T) {
	asked := []authz.Key{member("mark")}
	for name, reply := range map[string][]any{
		"nothing":                    {},
		"no head":                    {nil, goodMember, "role", "r", goodRole},
		"head is a list":             {[]any{"rev", "1"}, goodMember, "role", "r", goodRole},
		"head is cut off":            {"rev\x0012\x00nonce\x00ab\x00schema", goodMember, "role", "r", goodRole},
		"head is a number":           {int64(1), goodMember},
		"revision is negative":       {"rev\x00-12\x00nonce\x00ab\x00schema\x002", goodMember, "role", "r", goodRole},
		"no member":                  {goodHead},
		"member is nil":              {goodHead, nil},
		"member is lost":             {goodHead, int64(0)},
		"member is a list":           {goodHead, []any{"name", "Mark"}},
		"member is cut off":          {goodHead, goodMember[:10]},
		"member has a field too few": {goodHead, "rev\x001.a\x00name\x00Mark\x00role\x00"},
		"member has a field twice":   {goodHead, "rev\x001.a\x00name\x00Mark\x00name\x00Mark\x00role\x00\x00provider\x001"},
		"further one is cut off":     {goodHead, goodMember, "role", "r"},
		"further one has no name":    {goodHead, goodMember, "role", nil, goodRole},
		"further one is empty":       {goodHead, goodMember, "role", "r", ""},
		"further one is lost":        {goodHead, goodMember, "role", "r", int64(0)},
		"further one is no role":     {goodHead, goodMember, "rubbish", "r", goodRole},
		"role has no permissions":    {goodHead, goodMember, "role", "r", "rev\x001.a\x00name\x00R"},
		"role has no revision":       {goodHead, goodMember, "role", "r", "name\x00R\x00permissions\x00[]"},
		"role was never changed":     {goodHead, goodMember, "role", "r", "rev\x000.a\x00name\x00R\x00permissions\x00[]"},
	} {
		if facts, err := factsOf(reply, asked); authz.KindOf(err) != authz.Unavailable {
			t.Errorf("%s: %+v, %v", name, facts, err)
		}
	}
}

// What is cut out of a good reply, or swapped in it, never panics.
func TestMangledReplies(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	good := []any{goodHead, goodMember, "rev\x001.a\x00patient_group\x00g\x00c:m\x00manual", "role", "r", goodRole}
	odd := []any{nil, int64(0), int64(7), "", "\x00", "\x00\x00", "a", []any{}, []any{"a"}, true, 1.5}
	for range 20_000 {
		reply := append([]any{}, good...)
		for range 1 + r.IntN(3) {
			i := r.IntN(len(reply))
			switch text, isText := reply[i].(string); {
			case r.IntN(3) == 0:
				reply[i] = odd[r.IntN(len(odd))]
			case isText && len(text) > 0:
				at := r.IntN(len(text))
				reply[i] = text[:at] + string(rune(r.IntN(128))) + text[at+r.IntN(len(text)-at):]
			default:
				reply = append(reply[:i], reply[i+1:]...)
			}
			if len(reply) == 0 {
				break
			}
		}
		if facts, err := factsOf(reply, []authz.Key{member("mark"), patient("p")}); (facts == nil) == (err == nil) {
			t.Fatalf("%q: %+v, %v", reply, facts, err)
		}
	}
}

// Something else than Redis answers.
func TestRubbishServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	answers := []string{"HTTP/1.1 400 Bad Request\r\n\r\n", "$-1\r\n", "*1\r\n$3\r\nabc\r\n", "+OK\r\n", "$99999999999\r\n", "*-1\r\n", "\x00\xff", "%1\r\n+a\r\n", ":7\r\n", "_\r\n", "#t\r\n"}
	answer := make(chan string, 1)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				text := <-answer
				answer <- text
				buffer := make([]byte, 4096)
				for {
					if _, err := conn.Read(buffer); err != nil {
						return
					}
					if _, err := io.WriteString(conn, strings.Repeat(text, 8)); err != nil {
						return
					}
				}
			}()
		}
	}()
	for _, text := range answers {
		answer <- text
		d, err := Open(Config{URL: "redis://" + listener.Addr().String() + "?protocol=2"})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		facts, err := d.Read(t.Context(), "riverside", []authz.Key{member("mark")}, authz.Freshness{})
		if authz.KindOf(err) != authz.Unavailable || time.Since(start) > 2*defaultFactsTimeout {
			t.Errorf("%q: %+v, %v in %v", text, facts, err, time.Since(start))
		}
		closed(t, d)
		<-answer
	}
}
