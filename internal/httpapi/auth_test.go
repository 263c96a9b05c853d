package httpapi_test

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caregate/caregate/internal/httpapi"
)

// writeTokens makes a tokens file of lines and reads it.
func writeTokens(t *testing.T, lines ...string) (*httpapi.Tokens, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	write(t, path, strings.Join(lines, "\n"))
	tokens, err := httpapi.NewTokens(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tokens, path
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTokens(t *testing.T) {
	tokens, _ := writeTokens(t, "# callers", "", "  scheduling \t one-1 ", "records two-2", "records two-3", "#old three-3")
	s := newService()
	c := decisions(t, httpapi.Config{Service: s, Tokens: tokens})
	for _, h := range []string{"Bearer one-1", "bearer two-2", "BEARER  two-3", "Bearer one-1 "} {
		c.post("/access/v1/evaluation", good, "Authorization", h).want(t, 200, yes)
	}
	asked := s.asked()
	for _, h := range []string{"", "Bearer", "Bearer ", "Bearer one", "Bearer one-11", "Basic one-1", "one-1", "Bearer scheduling", "Bearer three-3", "Bearerone-1", "Bearer one-1 two-2"} {
		for _, ask := range []answer{
			c.post("/access/v1/evaluation", good, "Authorization", h),
			c.post("/access/v1/evaluation", `{`, "Authorization", h), // who asks comes before what
			c.get("/v1/permissions/mark", "Authorization", h),
			c.post("/v1/data/authz/allow", `{}`, "Authorization", h),
		} {
			ask.refused(t, 401, "unauthenticated", "")
			if !strings.HasPrefix(ask.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("WWW-Authenticate %q", ask.header.Get("WWW-Authenticate"))
			}
		}
	}
	if s.asked() != asked {
		t.Error("a caller that is not known was answered")
	}
	if name, ok := tokens.Caller(http.Header{"Authorization": {"Bearer two-3"}}); name != "records" || !ok {
		t.Errorf("caller %q %v", name, ok)
	}
	if _, ok := tokens.Caller(http.Header{"Authorization": {"Bearer two-3", "Bearer two-3"}}); ok {
		t.Error("two headers are accepted")
	}
}

func TestTokensFailClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	if _, err := httpapi.NewTokens(path, nil); err == nil {
		t.Error("a file that is not there is accepted")
	}
	for content, want := range map[string]string{
		"": "no token", "# only\n\n": "no token", "a one\nb\n": "line 2", "a one two": "line 1", "a one\n\nb one": "line 3",
		"a one\n#" + strings.Repeat(" ", 70_000) + "\nb two": "line 2: is longer than 64 KiB; a line is",
	} {
		write(t, path, content)
		if _, err := httpapi.NewTokens(path, nil); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "one\n") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

// A line that somebody took for a comment, or a file of another encoding, is not read as
// something else.
func TestTokensOfOtherEncodingsAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	for content, want := range map[string]string{
		"\uFEFF#portal zero-0\na one-1\n":         "byte order mark",
		"\uFEFFa one-1\n":                         "byte order mark",
		"a one-1\n\uFEFF#b two-2\n":               "line 2",
		"\u200B#portal zero-0\na one-1\n":         "line 1: has a character that cannot be seen",
		"a one\u200B-1\n":                         "line 1: has a character that cannot be seen",
		"a one\x7F-1\n":                           "line 1: has a character that cannot be seen",
		"\xFF\xFEa\x00 \x00o\x00n\x00e\x00\n\x00": "is UTF-16; save it as UTF-8 without a byte order mark",
		"\xFE\xFF\x00a\x00 \x00o\x00n\x00e\x00\n": "is UTF-16",
		"a\x00 \x00o\x00n\x00e\x00\n\x00":         "NUL",
		"a one-1\ncl\xEDnica two-2\n":             "is not UTF-8 on line 2",
	} {
		write(t, path, content)
		if _, err := httpapi.NewTokens(path, nil); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "one-1") {
			t.Errorf("%q: %v", content, err)
		}
	}
	write(t, path, "# callers\r\n\r\nclínica one-1\r\n")
	tokens, err := httpapi.NewTokens(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if name, ok := tokens.Caller(http.Header{"Authorization": {"Bearer one-1"}}); name != "clínica" || !ok {
		t.Errorf("lines that end with CRLF: %q %v", name, ok)
	}
}

// Taking a token out of the file ends it, the last one too.
func TestAnEmptiedTokensFileLetsNobodyIn(t *testing.T) {
	for _, emptied := range []string{"", "\n", "# a one\n"} {
		_, path := writeTokens(t, "a one")
		synctest.Test(t, func(t *testing.T) {
			logged, logger := newLog(slog.LevelInfo)
			tokens, err := httpapi.NewTokens(path, logger)
			if err != nil {
				t.Fatal(err)
			}
			known := func(token string) bool {
				_, ok := tokens.Caller(http.Header{"Authorization": {"Bearer " + token}})
				return ok
			}
			if !known("one") {
				t.Fatal("the token is not known")
			}
			write(t, path, emptied)
			time.Sleep(1100 * time.Millisecond)
			if known("one") {
				t.Errorf("%q: the token is good still", emptied)
			}
			if n := len(logged.lines("no token any more")); n != 1 {
				t.Errorf("%d warnings: %s", n, logged)
			}
			write(t, path, "b two")
			time.Sleep(1100 * time.Millisecond)
			if known("one") || !known("two") {
				t.Error("the file that was filled again is not read")
			}
		})
	}
}

func TestTokensFileModeIsWarnedOf(t *testing.T) {
	_, path := writeTokens(t, "a one")
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o640: 0, 0o644: 1} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		logged, logger := newLog(slog.LevelInfo)
		if _, err := httpapi.NewTokens(path, logger); err != nil {
			t.Fatal(err)
		}
		if n := len(logged.lines("chmod")); n != want {
			t.Errorf("%o: %s", mode, logged)
		}
	}
}

func TestTokensRotate(t *testing.T) {
	_, path := writeTokens(t, "a one")
	synctest.Test(t, func(t *testing.T) {
		logged, logger := newLog(slog.LevelInfo)
		tokens, err := httpapi.NewTokens(path, logger)
		if err != nil {
			t.Fatal(err)
		}
		known := func(token string) bool {
			_, ok := tokens.Caller(http.Header{"Authorization": {"Bearer " + token}})
			return ok
		}
		replace := func(content string) { // as a mounted secret is: another file in its place
			t.Helper()
			write(t, path+".new", content)
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}
		replace("a two")
		if !known("one") || known("two") {
			t.Error("the file was looked at within a second")
		}
		time.Sleep(1100 * time.Millisecond)
		if known("one") || !known("two") {
			t.Error("the new token is not known, or the old one is")
		}
		write(t, path, "a three\nb four\n") // in place
		time.Sleep(1100 * time.Millisecond)
		if known("two") || !known("three") || !known("four") {
			t.Error("a write in place is not seen")
		}
		replace("rubbish")
		for range 5 {
			time.Sleep(1100 * time.Millisecond)
			if !known("three") {
				t.Error("a bad file took the tokens away")
			}
		}
		if n := len(logged.lines(`"level":"ERROR"`)); n != 1 || strings.Contains(logged.String(), "three") {
			t.Errorf("%d errors: %s", n, logged)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			time.Sleep(1100 * time.Millisecond)
			if !known("three") {
				t.Error("a missing file took the tokens away")
			}
		}
		if n := len(logged.lines(`"level":"ERROR"`)); n != 2 {
			t.Errorf("%d errors: %s", n, logged)
		}
		write(t, path, "a five")
		time.Sleep(1100 * time.Millisecond)
		if known("three") || !known("five") {
			t.Error("the file that came back is not read")
		}
	})
}
