package httpapi

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// askedPage is the page that a search asks for (AuthZEN 1.0, section 8.2.1).
type askedPage struct {
	token string // "" for the first page
	limit int    // 0 for none given
}

// page consumes the member page of a search. Members that it does not know, properties
// among them, are ignored, and a null is nothing given.
func (d *decoding) page() (p askedPage, err error) {
	switch k := d.tokens.PeekKind(); k {
	case 'n':
		return p, d.token()
	case '{':
		if err := d.token(); err != nil {
			return p, err
		}
	default:
		return p, d.mismatch(k, "an object", "page", "")
	}
	for {
		name, more, err := d.member()
		if err != nil || !more {
			return p, err
		}
		switch given := d.tokens.PeekKind() != 'n'; {
		case given && string(name) == "token":
			p.token, err = d.text("page", "token")
		case given && string(name) == "limit":
			p.limit, err = d.limit()
		default:
			err = d.skip()
		}
		if err != nil {
			return p, err
		}
	}
}

// limit consumes the member limit of a page.
func (d *decoding) limit() (int, error) {
	if k := d.tokens.PeekKind(); k != '0' {
		return 0, d.mismatch(k, "a number", "page", "limit")
	}
	v, err := d.tokens.ReadValue()
	if err != nil {
		return 0, d.syntax(err)
	}
	n, err := strconv.Atoi(string(v))
	if err != nil || n < 1 || n > search.MaxLimit {
		return 0, authz.Errorf(authz.Malformed, "page.limit", "must be a whole number from 1 to %d", search.MaxLimit)
	}
	return n, nil
}

// searchPage returns the page that was asked for. A token goes on with the limit of
// the page that it came with: AuthZEN has all pages of a search ask for the same.
func (p *pages) searchPage(asked askedPage) (search.Page, error) {
	if asked.token == "" {
		return search.Page{Limit: cmp.Or(asked.limit, search.DefaultLimit)}, nil
	}
	page, ok := p.readSearchToken(asked.token)
	if !ok {
		return search.Page{}, authz.Errorf(authz.Malformed, "page.token",
			"is not the next_token of a search, or of one that another process gave; pass next_token back as it is, or leave it out and begin again")
	}
	if asked.limit != 0 && asked.limit != page.Limit {
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
		return p.sealing(text, ofSearch), nil
	}
	return string(text), nil
}

// readSearchToken reads what searchToken made.
func (p *pages) readSearchToken(token string) (page search.Page, ok bool) {
	text := []byte(token)
	encoded, hidden := strings.CutPrefix(token, sealed)
	if hidden {
		var err error
		if text, err = p.unsealed(encoded, ofSearch); err != nil {
			return page, false
		}
	}
	number, cursor, _ := bytes.Cut(text, []byte{'.'})
	n, err := strconv.Atoi(string(number))
	if err != nil || n < 1 || n > search.MaxLimit {
		return page, false
	}
	page = search.Page{Limit: n, From: new(search.Cursor)}
	return page, page.From.UnmarshalText(cursor) == nil && page.From.Hidden == hidden
}
