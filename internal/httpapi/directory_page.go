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

// sealed begins a token that has an id in it which the caller is not to see.
const sealed = "s."

// What a token is for. A sealed one is good for nothing else.
const (
	ofList   = "list"
	ofSearch = "search"
)

// pages makes the tokens by which lists and searches go on. That of a list is the
// last id of a page. Where a token holds an id that the caller may not see it is
// encrypted, with a key of this process: then it is good here alone.
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
	var after []byte
	if encoded, hidden := strings.CutPrefix(token, sealed); hidden {
		after, err = p.unsealed(encoded, ofList)
	} else {
		after, err = base64.RawURLEncoding.Strict().DecodeString(token)
	}
	if err != nil || token != "" && !admin.ValidID(string(after)) {
		return page{}, authz.Errorf(authz.Malformed, "after",
			"is not the next of a page, or of one that another process gave; pass next back as it is, or leave it out and begin again")
	}
	return page{string(after), n}, nil
}

// sealing encrypts what a token says.
func (p *pages) sealing(text []byte, purpose string) string {
	return sealed + base64.RawURLEncoding.EncodeToString(p.seal.Seal(nil, nil, text, []byte(purpose)))
}

// unsealed returns what a token says without the mark of a sealed one.
func (p *pages) unsealed(encoded, purpose string) ([]byte, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, err
	}
	return p.seal.Open(nil, nil, text, []byte(purpose))
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
		return appendText(dst, "next", p.sealing([]byte(hidden), ofList))
	case last != "":
		return appendText(dst, "next", base64.RawURLEncoding.EncodeToString([]byte(last)))
	default:
		return dst
	}
}
