package connect

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Whoever meets the word for a cause finds it in docs/errors.md.
func TestEveryCauseIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/errors.md")
	must(t)(err)
	_, table, _ := strings.Cut(string(page), "\n## Why Redis gave no answer\n")
	documented := func(c cause) {
		if !strings.Contains(table, "`"+c.word+"`") {
			t.Errorf("docs/errors.md lacks the word %q", c.word)
		}
	}
	for _, known := range knownReplies() {
		documented(known.cause)
	}
	documented(saidBy("ERR of a kind that nobody knows"))
	for _, err := range []error{
		errMoving, errAnnounced, redis.ErrClosed, redis.ErrPoolTimeout, context.DeadlineExceeded, io.EOF,
		&net.DNSError{IsTimeout: true}, &net.DNSError{}, errors.New("redis: all sentinels specified in configuration are unreachable"),
		errors.New("cluster has no nodes"), errors.New("a reply in another protocol"),
	} {
		documented(causeOf(err))
	}
	if word := causeOf(syscall.ECONNREFUSED).word; !strings.Contains(table, "`"+word+"`, and other words of the system") {
		t.Errorf("docs/errors.md lacks %q", word)
	}
}

// must ends the test on an error.
func must(t *testing.T) func(error) {
	return func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}
