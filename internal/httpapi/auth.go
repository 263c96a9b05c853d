package httpapi

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"unicode"
)

// Tokens knows callers by the bearer tokens of a file, one "name token" a line;
// blank lines and lines that start with # are skipped. A name may stand on
// several lines, so that a token can be replaced without a moment in which
// neither works. The file is read again when it changes, and a token that is not in it
// any more is not good any more, the last one too.
//
// Only digests of the tokens are kept, and every look-up compares all of them.
type Tokens struct {
	file    watchedFile
	logger  *slog.Logger
	entries atomic.Pointer[[]tokenEntry]
}

type tokenEntry struct {
	name   string
	digest [sha256.Size]byte
}

// NewTokens reads the tokens of the file at path. A file that cannot be read,
// has a line that cannot, or has no token is an error. Logger is told of later
// changes; nil discards.
func NewTokens(path string, logger *slog.Logger) (*Tokens, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	t := &Tokens{file: watchedFile{path: path}, logger: logger}
	if err := t.load(); err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o007 != 0 {
		logger.Warn("the tokens file can be used by every user of this machine; take that away with chmod o-rwx",
			slog.String("file", path))
	}
	return t, nil
}

// Caller returns the name of the caller whose token a request bears.
func (t *Tokens) Caller(h http.Header) (name string, ok bool) {
	t.refresh()
	given := h["Authorization"]
	if len(given) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	token = strings.Trim(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", false
	}
	digest := sha256.Sum256([]byte(token))
	entries := *t.entries.Load()
	found := -1
	for i := range entries {
		same := subtle.ConstantTimeCompare(digest[:], entries[i].digest[:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 {
		return "", false
	}
	return entries[found].name, true
}

// refresh reads the file again when it changed. A file that cannot be used
// leaves the tokens as they were, and is said so once.
func (t *Tokens) refresh() {
	if !t.file.changed() {
		return
	}
	if err := t.load(); err != nil {
		t.logger.Error("the tokens file cannot be used; the tokens of before hold", slog.String("error", err.Error()))
		return
	}
	if n := len(*t.entries.Load()); n > 0 {
		t.logger.Info("tokens read again", slog.Int("tokens", n))
	} else {
		t.logger.Warn("the tokens file has no token any more, and nobody who needs one is let in", slog.String("file", t.file.path))
	}
}

func (t *Tokens) load() error {
	b, err := t.file.content()
	if err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	entries, err := parseTokens(b)
	if err == nil && len(entries) == 0 && t.entries.Load() == nil {
		err = errors.New("there is no token; write at least one line with the name of a caller, a space and its token")
	}
	if err != nil {
		return fmt.Errorf("tokens %s: %w", t.file.path, err)
	}
	t.entries.Store(&entries)
	return nil
}

// parseTokens reads the lines of a tokens file. Its errors hold no token.
func parseTokens(b []byte) ([]tokenEntry, error) {
	var entries []tokenEntry
	seen := make(map[[sha256.Size]byte]int)
	lines := bufio.NewScanner(bytes.NewReader(b))
	n := 1
	for ; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("line %d: write the name of a caller, a space and its token", n)
		}
		// What nobody sees before a # would make a token of a comment.
		if strings.ContainsFunc(fields[0]+fields[1], func(r rune) bool { return !unicode.IsPrint(r) }) {
			return nil, fmt.Errorf("line %d: has a character that cannot be seen; write the line anew", n)
		}
		e := tokenEntry{name: fields[0], digest: sha256.Sum256([]byte(fields[1]))}
		if before, twice := seen[e.digest]; twice {
			return nil, fmt.Errorf("line %d: the token of line %d again; give each caller its own", n, before)
		}
		seen[e.digest] = n
		entries = append(entries, e)
	}
	if err := lines.Err(); err != nil { // nothing else can be wrong with what is in memory
		return nil, fmt.Errorf("line %d: is longer than %d KiB; a line is the name of a caller, a space and its token, or a comment that is shorter",
			n, bufio.MaxScanTokenSize>>10)
	}
	return entries, nil
}
