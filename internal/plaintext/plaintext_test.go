package plaintext_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/caregate/caregate/internal/plaintext"
)

// utf16Of is text as an editor that saves "Unicode" writes it.
func utf16Of(text string, order binary.AppendByteOrder) string {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, unit)
	}
	return string(out)
}

func TestOtherEncodingsAreRefusedByName(t *testing.T) {
	const line = "# old records two-2\nportal one-1\n"
	for name, of := range map[string]struct{ text, says string }{
		"a mark":                         {"\uFEFF" + line, "begins with a byte order mark; save it as UTF-8 without one"},
		"a mark and nothing":             {"\uFEFF", "begins with a byte order mark"},
		"a mark where files were joined": {line + "\uFEFF" + line, "has a byte order mark on line 3; take it out"},
		"UTF-16, little endian":          {utf16Of("\uFEFF"+line, binary.LittleEndian), "is UTF-16; save it as UTF-8 without a byte order mark"},
		"UTF-16, big endian":             {utf16Of("\uFEFF"+line, binary.BigEndian), "is UTF-16; save it as UTF-8 without a byte order mark"},
		"UTF-16 without a mark":          {utf16Of(line, binary.LittleEndian), "has a NUL byte on line 1, as UTF-16 has"},
		"UTF-16, the other way":          {utf16Of(line, binary.BigEndian), "has a NUL byte on line 1, as UTF-16 has"},
		"UTF-32, little endian":          {"\xFF\xFE\x00\x00#\x00\x00\x00", "is UTF-32"},
		"UTF-32, big endian":             {"\x00\x00\xFE\xFF\x00\x00\x00#", "is UTF-32"},
		"Latin-1":                        {"a\nb\ncl\xEDnica one-1\n", "is not UTF-8 on line 3"},
		"half a character":               {"a\n\xC3", "is not UTF-8 on line 2"},
		"a surrogate":                    {"\xED\xA0\x80", "is not UTF-8 on line 1"},
		"a longer form of a character":   {"\xC0\xAF", "is not UTF-8 on line 1"},
		"a NUL byte":                     {"a\nb\x00c\n", "has a NUL byte on line 2"},
	} {
		if err := plaintext.Check([]byte(of.text)); err == nil || !strings.HasPrefix(err.Error(), of.says) {
			t.Errorf("%s: %v, expected %q", name, err, of.says)
		}
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, []byte(of.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := plaintext.ReadFile(file); err == nil || !strings.Contains(err.Error(), file+" "+of.says) {
			t.Errorf("%s in a file: %v", name, err)
		}
	}
}

func TestOneLineIsToldWithoutItsNumber(t *testing.T) {
	for text, says := range map[string]string{
		"\uFEFFa":   "begins with a byte order mark; save it as UTF-8 without one",
		"\xFF\xFEa": "is UTF-16; save it as UTF-8 without a byte order mark",
		"a\x00":     "has a NUL byte, as UTF-16 has; save it as UTF-8 without a byte order mark",
		"\xED":      "is not UTF-8; save it as UTF-8 without a byte order mark",
	} {
		if err := plaintext.CheckLine([]byte(text)); err == nil || err.Error() != says {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := plaintext.CheckLine([]byte("{}\r")); err != nil {
		t.Error(err)
	}
}

func TestPlainTextIsTaken(t *testing.T) {
	for _, text := range []string{"", "\n", "a\r\nb\r\n", "clínica ✓ 🩺\n", "a \uFEFF in a line", "\uFFFD", "no end of line"} {
		if err := plaintext.Check([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := plaintext.ReadFile(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
}
