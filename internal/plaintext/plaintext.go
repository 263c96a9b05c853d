// Package plaintext refuses files that are not plain UTF-8. Who saves a file in another
// encoding, or with a byte order mark, sees the same letters as always, and a parser sees
// others: a line that was a comment begins with something else, a certificate is passed
// over, a whole file means nothing. So no file of an operator's is parsed before Check has
// seen it. The package imports the standard library only.
package plaintext

import (
	"bytes"
	"fmt"
	"os"
	"unicode/utf8"
)

// mark is U+FEFF, which begins a file in some encodings.
const mark = "\uFEFF"

// Check refuses text that is not UTF-8, that has a byte order mark at the beginning of a
// line, where files that were joined have it too, or that has a NUL byte. Lines may end
// with CRLF. The error says what the text is and what to do, such as "is UTF-16; save it as
// UTF-8 without a byte order mark", and repeats nothing of it.
func Check(text []byte) error {
	says, at := find(text)
	if says == "" {
		return nil
	}
	return fmt.Errorf(says, fmt.Sprintf(" on line %d", 1+bytes.Count(text[:at], []byte{'\n'})))
}

// CheckLine is Check for one line of a text, whose number the caller says.
func CheckLine(line []byte) error {
	says, _ := find(line)
	if says == "" {
		return nil
	}
	return fmt.Errorf(says, "")
}

// find returns what is wrong with text, with a verb for the place, and at which byte; ""
// for nothing.
func find(text []byte) (says string, at int) {
	for _, other := range [...]struct{ mark, name string }{
		{"\xFF\xFE\x00\x00", "UTF-32"}, {"\x00\x00\xFE\xFF", "UTF-32"}, {"\xFF\xFE", "UTF-16"}, {"\xFE\xFF", "UTF-16"},
	} {
		if bytes.HasPrefix(text, []byte(other.mark)) {
			return "is " + other.name + "%.0s; save it as UTF-8 without a byte order mark", 0
		}
	}
	if bytes.HasPrefix(text, []byte(mark)) {
		return "begins with a byte order mark%.0s; save it as UTF-8 without one", 0
	}
	if at := bytes.IndexByte(text, 0); at >= 0 {
		return "has a NUL byte%s, as UTF-16 has; save it as UTF-8 without a byte order mark", at
	}
	if at := bytes.Index(text, []byte("\n"+mark)); at >= 0 {
		return "has a byte order mark%s; take it out, and save it as UTF-8", at + 1
	}
	if !utf8.Valid(text) {
		return "is not UTF-8%s; save it as UTF-8 without a byte order mark", invalid(text)
	}
	return "", 0
}

// ReadFile reads a file that has to be plain text. The error names the file.
func ReadFile(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := Check(text); err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	return text, nil
}

// invalid returns where text stops to be UTF-8.
func invalid(text []byte) int {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size < 2 {
			return at
		}
		at += size
	}
	return len(text)
}
