package wire

import (
	"strconv"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// Page is the page that a search asks for (AuthZEN 1.0, section 8.2.1).
type Page struct {
	Token string // "" for the first page
	Limit int    // 0 for none given
}

// Search decodes a search for what is sought (AuthZEN 1.0, sections 8.4 to 8.6). Members
// that it does not know are ignored, as the specification demands, and so is the id, or the
// action, that is looked for.
func (d *Decoder) Search(body []byte, sought Part) (r *authz.Request, p Page, err error) {
	if err := d.begin(body); err != nil {
		return nil, p, err
	}
	d.sought = sought
	q := new(question)
	if err := d.members(func(name []byte) (err error) {
		switch {
		case string(name) == "page":
			p, err = d.page()
		case string(name) == "action" && sought == Action:
			err = d.skip()
		default:
			err = d.part(q, name, "")
		}
		return err
	}); err != nil {
		return nil, p, err
	}
	r, err = d.complete(q)
	return r, p, err
}

// page consumes the member page of a search. Members that it does not know, properties
// among them, are ignored, and a null is nothing given.
func (d *Decoder) page() (p Page, err error) {
	if given, err := d.notNull(); err != nil || !given {
		return p, err
	}
	if err := d.object("page"); err != nil {
		return p, err
	}
	err = d.members(func(name []byte) (err error) {
		switch given := d.tokens.PeekKind() != 'n'; {
		case given && string(name) == "token":
			p.Token, err = d.nonEmpty("page", "token")
		case given && string(name) == "limit":
			p.Limit, err = d.wholeNumber("page", "limit", search.MaxLimit)
		default:
			err = d.skip()
		}
		return err
	})
	return p, err
}

// AppendFound appends a page of what was found (AuthZEN 1.0, section 8.3). The page
// comes first, as it recommends.
func AppendFound(dst []byte, found *search.Result, next string) []byte {
	dst = append(dst, `{"page":{"next_token":`...)
	dst = appendString(dst, next)
	dst = append(dst, `,"count":`...)
	dst = strconv.AppendInt(dst, int64(len(found.IDs)), 10)
	dst = append(dst, `},"results":[`...)
	for i, id := range found.IDs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendOneFound(dst, found.Type, id)
	}
	return append(dst, `]}`...)
}

// AppendOneFound appends an entity of a type, or the action id where the type is "".
func AppendOneFound(dst []byte, typ, id string) []byte {
	if typ == "" {
		dst = append(dst, `{"name":`...)
	} else {
		dst = appendString(append(dst, `{"type":`...), typ)
		dst = append(dst, `,"id":`...)
	}
	return append(appendString(dst, id), '}')
}
