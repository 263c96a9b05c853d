package httpapi

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/filter"
)

// Filterer writes the rule as a filter for a caller's own database. It returns
// within ctx, with errors whose kind authz.KindOf knows. *filter.Service is one.
type Filterer interface {
	Filter(ctx context.Context, organisation string, q *filter.Question, fresh authz.Freshness) (*filter.Filter, authz.Stated, error)
}

// maxFirst is the highest number that the first parameter may have. No database takes
// as many.
const maxFirst = 65_535

// filter answers a filter. That it lets nothing through is a 200.
func (a *API) filter(x *exchange) error {
	if err := x.read(); err != nil {
		return err
	}
	question, err := x.in.filter()
	if err != nil {
		return err
	}
	fresh, err := x.freshness()
	if err != nil {
		return err
	}
	made, stated, err := a.cfg.Filterer.Filter(x.ctx, x.organisation(), question, fresh)
	if err != nil {
		return err
	}
	if x.out, err = AppendFilter(x.out[:0], made, question.Dialect); err != nil {
		return err
	}
	x.answer(stated)
	return nil
}

// filter reads d.body as the question for a filter. A member that it does not know is
// an error, and so is the id of a resource: a filter is for all of a type.
func (d *decoding) filter() (*filter.Question, error) {
	if err := d.begin(); err != nil {
		return nil, err
	}
	d.sought, d.strict = resource, true
	asked, f := new(question), new(filter.Question)
	for {
		name, more, err := d.member()
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		switch string(name) {
		case "dialect":
			f.Dialect, err = d.dialect()
		case "first_parameter":
			f.First, err = d.first()
		default:
			var known bool
			if known, err = d.question(asked, name); err == nil && !known {
				err = d.unknown("subject, action, resource, context, dialect and first_parameter")
			}
		}
		if err != nil {
			return nil, err
		}
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	if err := d.complete(asked); err != nil {
		return nil, err
	}
	if f.Dialect == "" {
		return nil, d.malformed("is required: give one of "+strings.Join(filter.Dialects(), ", "), "dialect", "")
	}
	f.Request = &asked.Request
	return f, nil
}

// dialect consumes the name of a dialect.
func (d *decoding) dialect() (filter.Dialect, error) {
	name, err := d.text("dialect", "")
	if err != nil {
		return "", err
	}
	if !slices.Contains(filter.Dialects(), name) {
		return "", d.malformed("must be one of "+strings.Join(filter.Dialects(), ", "), "dialect", "")
	}
	return filter.Dialect(name), nil
}

// first consumes the number of the first parameter.
func (d *decoding) first() (int, error) {
	if k := d.tokens.PeekKind(); k != '0' {
		return 0, d.mismatch(k, "a number", "first_parameter", "")
	}
	v, err := d.tokens.ReadValue()
	if err != nil {
		return 0, d.syntax(err)
	}
	n, err := strconv.Atoi(string(v))
	if err != nil || n < 1 || n > maxFirst {
		return 0, authz.Errorf(authz.Malformed, "first_parameter", "must be a whole number from 1 to %d", maxFirst)
	}
	return n, nil
}

// AppendFilter appends a filter as /v1/filters answers it. What it matches comes first
// and always, so that no filter is ever an empty text to be misread.
func AppendFilter(dst []byte, f *filter.Filter, dialect filter.Dialect) ([]byte, error) {
	switch f.Matches {
	case filter.All, filter.None, filter.Some:
	default:
		return nil, fmt.Errorf("a filter that matches %q", f.Matches)
	}
	dst = appendString(append(dst, `{"matches":`...), string(f.Matches))
	dst = appendText(dst, "dialect", string(dialect))
	switch {
	case dialect == filter.UCAST && len(f.UCAST) > 0:
		dst = append(append(dst, `,"ucast":`...), f.UCAST...)
	case dialect != filter.UCAST && f.Where != "":
		dst = appendText(dst, "where", f.Where)
		var err error
		if dst, err = appendArgs(append(dst, `,"args":`...), f.Args); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("a filter in %s without its text", dialect)
	}
	if len(f.Masks) > 0 {
		dst = append(append(dst, `,"masks":`...), f.Masks...)
	}
	return append(dst, '}'), nil
}

// appendArgs appends the values of parameters.
func appendArgs(dst []byte, args []any) ([]byte, error) {
	dst = append(dst, '[')
	for i, arg := range args {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch v := arg.(type) {
		case string:
			dst = appendString(dst, v)
		case int64:
			dst = strconv.AppendInt(dst, v, 10)
		default:
			return nil, fmt.Errorf("a parameter that is a %T", arg)
		}
	}
	return append(dst, ']'), nil
}
