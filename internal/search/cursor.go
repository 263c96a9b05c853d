package search

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/caregate/caregate/internal/authz"
)

// Cursor is where a page ended, with what the search was about, so that it is
// continued as it began or refused.
type Cursor struct {
	After string // the id that the next page comes after
	// Hidden is true for an id that was not among the results: it is not to be shown.
	Hidden   bool
	Revision authz.Revision
	Policy   string // the digest of the policy
	Question string // a digest of the search: what is asked of whom
}

// tokenField is where a cursor stands in a request.
const tokenField = "page.token"

// The first byte of a cursor that is written: its form, and whether it is hidden.
const (
	cursorShown  = 2
	cursorHidden = 3
)

// MarshalText writes a cursor in letters, digits, - and _. A hidden one is as
// readable as any: whoever hands it out seals it.
func (c *Cursor) MarshalText() ([]byte, error) {
	b := make([]byte, 1, 64+len(c.After)+len(c.Policy)+len(c.Question))
	b[0] = cursorShown
	if c.Hidden {
		b[0] = cursorHidden
	}
	b = binary.AppendUvarint(b, c.Revision.Count)
	for _, text := range []string{c.Revision.Nonce, c.Policy, c.Question, c.After} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	return base64.RawURLEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText reads what MarshalText wrote, and nothing else; the error is Malformed.
func (c *Cursor) UnmarshalText(text []byte) error {
	malformed := authz.Errorf(authz.Malformed, tokenField, "is no token of a search; pass back next_token as it was given")
	b, err := base64.RawURLEncoding.Strict().AppendDecode(nil, text)
	if err != nil || len(b) == 0 || b[0] != cursorShown && b[0] != cursorHidden {
		return malformed
	}
	out := Cursor{Hidden: b[0] == cursorHidden}
	count, n := binary.Uvarint(b[1:])
	if n <= 0 {
		return malformed
	}
	out.Revision.Count, b = count, b[1+n:]
	for _, to := range []*string{&out.Revision.Nonce, &out.Policy, &out.Question, &out.After} {
		length, n := binary.Uvarint(b)
		if n <= 0 || length > uint64(len(b)-n) {
			return malformed
		}
		end := n + int(length)
		*to, b = string(b[n:end]), b[end:]
	}
	if len(b) > 0 {
		return malformed
	}
	// A number, or line breaks in the encoding, can be written in more ways than one.
	if again, _ := out.MarshalText(); string(again) != string(text) {
		return malformed
	}
	*c = out
	return nil
}
