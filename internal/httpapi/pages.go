package httpapi

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
	"github.com/caregate/caregate/internal/wire"
)

// The sizes of a page of a list.
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
// encrypted, with a key of this process: then it is good only here.
type pages struct {
	cipher cipher.AEAD
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

// seal encrypts what a token says.
func (p *pages) seal(text []byte, purpose string) string {
	return sealed + base64.RawURLEncoding.EncodeToString(p.cipher.Seal(nil, nil, text, []byte(purpose)))
}

// unseal returns what a token says, which is given without the mark of a sealed one.
func (p *pages) unseal(encoded, purpose string) ([]byte, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, err
	}
	return p.cipher.Open(nil, nil, text, []byte(purpose))
}

// page returns the page that the parameters limit and after ask for.
func (x *exchange) page() (page, error) {
	return x.api.pages.pageOf(wire.Number(x.echo.QueryParam("limit")), x.echo.QueryParam("after"))
}

// pageOf makes a page of a limit and a token, "" for none.
func (p *pages) pageOf(limit wire.Number, token string) (page, error) {
	n, err := limit.Whole("limit", maxLimit)
	if err != nil {
		return page{}, err
	}
	var after []byte
	if encoded, hidden := strings.CutPrefix(token, sealed); hidden {
		after, err = p.unseal(encoded, ofList)
	} else {
		after, err = base64.RawURLEncoding.Strict().DecodeString(token)
	}
	if err != nil || token != "" && !admin.ValidID(string(after)) {
		return page{}, authz.Errorf(authz.Malformed, "after",
			"is not the next of a page, or of one that another process gave; pass next back as it is, or leave it out and begin again")
	}
	return page{string(after), cmp.Or(n, defaultLimit)}, nil
}

// next returns the token of the page after one, "" for the last: after last, the last id of
// the page, or after hidden, one that the caller does not see.
func (p *pages) next(more bool, last, hidden string) string {
	switch {
	case !more:
		return ""
	case hidden != "":
		return p.seal([]byte(hidden), ofList)
	default:
		return base64.RawURLEncoding.EncodeToString([]byte(last))
	}
}

// searched is what a search asks for.
type searched struct {
	request *authz.Request
	page    search.Page
}

// searchFor returns what decodes a search for what is sought. A token goes on with the limit
// of the page that it came with: AuthZEN has all pages of a search ask for the same.
func (p *pages) searchFor(sought wire.Part) func(*wire.Decoder, []byte) (searched, error) {
	return func(d *wire.Decoder, body []byte) (s searched, err error) {
		var asked wire.Page
		if s.request, asked, err = d.Search(body, sought); err != nil {
			return s, err
		}
		s.page, err = p.searchPage(asked)
		return s, err
	}
}

// searchPage returns the page of a search that is asked for.
func (p *pages) searchPage(asked wire.Page) (search.Page, error) {
	if asked.Token == "" {
		return search.Page{Limit: cmp.Or(asked.Limit, search.DefaultLimit)}, nil
	}
	page, ok := p.ofSearchToken(asked.Token)
	if !ok {
		return search.Page{}, authz.Errorf(authz.Malformed, "page.token",
			"is not the next_token of a search, or of one that another process gave; pass next_token back as it is, or leave it out and begin again")
	}
	if asked.Limit != 0 && asked.Limit != page.Limit {
		return search.Page{}, authz.Errorf(authz.Malformed, "page.limit",
			"is another than on the page before; leave it out, or leave page.token out and begin again")
	}
	return page, nil
}

// searchToken returns the token of the page after one of a limit, "" when there is
// none: the limit, a full stop and the cursor. With an id in it that was not among the
// results it is sealed as a whole.
func (p *pages) searchToken(next *search.Cursor, limit int) (string, error) {
	if next == nil {
		return "", nil
	}
	cursor, err := next.MarshalText()
	if err != nil {
		return "", err
	}
	text := append(append(strconv.AppendInt(nil, int64(limit), 10), '.'), cursor...)
	if next.Hidden {
		return p.seal(text, ofSearch), nil
	}
	return string(text), nil
}

// ofSearchToken returns the page that a token of searchToken is for.
func (p *pages) ofSearchToken(token string) (page search.Page, ok bool) {
	text := []byte(token)
	encoded, hidden := strings.CutPrefix(token, sealed)
	if hidden {
		var err error
		if text, err = p.unseal(encoded, ofSearch); err != nil {
			return page, false
		}
	}
	number, cursor, _ := bytes.Cut(text, []byte{'.'})
	n, err := wire.Number(number).Whole("", search.MaxLimit)
	if err != nil || n == 0 {
		return page, false
	}
	page = search.Page{Limit: n, From: new(search.Cursor)}
	return page, page.From.UnmarshalText(cursor) == nil && page.From.Hidden == hidden
}
