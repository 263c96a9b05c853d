package httpapi

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// The sizes of a page.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// page is a part of a list that a caller asks for.
type page struct {
	after string // the id that the part before ended with, "" for the first part
	limit int
}

// sealed begins a token whose id the caller is not to see.
const sealed = "s."

// pages makes the tokens by which a list goes on. A token is the last id of a page.
// Where that is one that the caller may not see it is encrypted, with a key of this
// process: then the list goes on here alone.
type pages struct {
	seal cipher.AEAD
}

func newPages() (*pages, error) {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &pages{seal}, nil
}

// page reads the parameters limit and after.
func (x *exchange) page() (page, error) {
	return x.api.pages.read(x.echo.QueryParam("limit"), x.echo.QueryParam("after"))
}

// read makes a page of a limit and a token, "" for none.
func (p *pages) read(limit, token string) (page, error) {
	n, err := limitOf(limit)
	if err != nil {
		return page{}, err
	}
	encoded, hidden := strings.CutPrefix(token, sealed)
	after, err := base64.RawURLEncoding.DecodeString(encoded)
	if err == nil && hidden {
		after, err = p.seal.Open(nil, nil, after, nil)
	}
	if err != nil || token != "" && !admin.ValidID(string(after)) {
		return page{}, authz.Errorf(authz.Malformed, "after",
			"is not the next of a page, or of one that another process gave; pass next back as it is, or leave it out and begin again")
	}
	return page{string(after), n}, nil
}

func limitOf(limit string) (int, error) {
	if limit == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(limit)
	if err != nil || n < 1 || n > maxLimit {
		return 0, authz.Errorf(authz.Malformed, "limit", "must be a whole number from 1 to %d", maxLimit)
	}
	return n, nil
}

// appendNext appends the member next to an object, if there are more: after last,
// the last id of the page, or after hidden, one that the caller does not see.
func (p *pages) appendNext(dst []byte, more bool, last, hidden string) []byte {
	switch {
	case !more:
		return dst
	case hidden != "":
		return appendText(dst, "next", sealed+base64.RawURLEncoding.EncodeToString(p.seal.Seal(nil, nil, []byte(hidden), nil)))
	case last != "":
		return appendText(dst, "next", base64.RawURLEncoding.EncodeToString([]byte(last)))
	default:
		return dst
	}
}
