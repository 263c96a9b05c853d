package httpapi

import (
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// batch is what an evaluations request asks.
type batch struct {
	// single is the question of a request without items, which is answered as
	// an evaluation; nil when there are items.
	single *authz.Request
	// requests has nil in the place of an item that cannot be asked, and bad
	// has the reason there. Bad is nil when every item can be asked.
	requests []*authz.Request
	bad      []error
	items    []item
	semantic authz.Semantic
}

// item is one element of evaluations.
type item struct {
	question
	err error
}

// evaluations reads d.body as a batch (AuthZEN 1.0, section 7.1) of at most limit
// items. What is wrong inside one item fails that item alone; what is wrong with
// a default fails the batch, but a default may lack members that no item needs.
func (d *decoding) evaluations(limit int) (*batch, error) {
	if err := d.begin(); err != nil {
		return nil, err
	}
	var (
		b        batch
		defaults question
		items    []item
	)
	for {
		name, more, err := d.member()
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		switch string(name) {
		case "evaluations":
			items, err = d.items(limit)
		case "options":
			b.semantic, err = d.options()
		default:
			var known bool
			if known, err = d.question(&defaults, name); err == nil && !known {
				err = d.skip()
			}
		}
		if err != nil {
			return nil, err
		}
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	if len(items) == 0 {
		if err := d.complete(&defaults); err != nil {
			return nil, err
		}
		b.single = &defaults.Request
		return &b, nil
	}
	if d.shared*len(items) > maxRepeated {
		return nil, authz.Errorf(authz.TooLarge, "evaluations",
			"%d items with a context or properties of %d values that all of them share; send fewer at once", len(items), d.shared)
	}
	b.requests, b.items = make([]*authz.Request, len(items)), items
	for i := range items {
		it := &items[i]
		if it.err == nil {
			d.item = i
			it.inherit(&defaults)
			it.err = d.complete(&it.question)
		}
		if it.err == nil {
			b.requests[i] = &it.Request
			continue
		}
		if b.bad == nil {
			b.bad = make([]error, len(items))
		}
		b.bad[i] = it.err
	}
	d.item = -1
	return &b, nil
}

// inherit takes the defaults that q has nothing of its own for, each as a whole
// and never merged.
func (q *question) inherit(defaults *question) {
	for p := subject; p <= resource; p++ {
		if q.given[p] || !defaults.given[p] {
			continue
		}
		q.given[p], q.lacks[p], q.inherited[p] = true, defaults.lacks[p], true
		switch p {
		case subject:
			q.Subject = defaults.Subject
		case action:
			q.Action = defaults.Action
		case resource:
			q.Resource = defaults.Resource
		}
	}
	if !q.hasContext {
		q.Context = defaults.Context
	}
}

// at returns an error about a field of an item with the field named as it stands in the body:
// in the item, or among the defaults that it took.
func (b *batch) at(i int, err error) error {
	return placed(err, func(field string) string {
		part, _, _ := strings.Cut(field, ".")
		q := &b.items[i].question
		for p := subject; p <= resource; p++ {
			if part == p.String() && q.inherited[p] {
				return field
			}
		}
		if field == "" || part == "context" && !q.hasContext {
			return field
		}
		return indexed("evaluations", i) + "." + field
	})
}

// items consumes the member evaluations. A null is no array at all.
func (d *decoding) items(limit int) ([]item, error) {
	switch k := d.tokens.PeekKind(); k {
	case 'n':
		return nil, d.token()
	case '[':
		if err := d.token(); err != nil {
			return nil, err
		}
	default:
		return nil, d.mismatch(k, "an array", "evaluations", "")
	}
	var items []item
	for d.tokens.PeekKind() != ']' {
		if len(items) == limit {
			return nil, authz.Errorf(authz.TooLarge, "evaluations", "more than %d items; send fewer at once, or raise --max-batch", limit)
		}
		d.item = len(items)
		it := item{}
		if it.err = d.oneItem(&it.question); d.broken {
			return nil, it.err
		}
		items = append(items, it)
	}
	d.item = -1
	return items, d.token()
}

// oneItem consumes one item to its end, whatever is wrong inside of it.
func (d *decoding) oneItem(q *question) error {
	depth := d.tokens.StackDepth()
	if k := d.tokens.PeekKind(); k != '{' {
		wrong := d.mismatch(k, "an object", "", "")
		if d.broken {
			return wrong
		}
		if err := d.skip(); err != nil {
			return err
		}
		return wrong
	}
	if err := d.token(); err != nil {
		return err
	}
	wrong := d.rest(q)
	if wrong == nil || d.broken {
		return wrong
	}
	if err := d.leave(depth); err != nil {
		return err
	}
	return wrong
}

// options consumes the member options (AuthZEN 1.0, section 7.1.2). Options
// that it does not know are ignored.
func (d *decoding) options() (semantic authz.Semantic, err error) {
	switch k := d.tokens.PeekKind(); k {
	case 'n':
		return semantic, d.token()
	case '{':
		if err := d.token(); err != nil {
			return semantic, err
		}
	default:
		return semantic, d.mismatch(k, "an object", "options", "")
	}
	for {
		name, more, err := d.member()
		if err != nil || !more {
			return semantic, err
		}
		if string(name) == "evaluations_semantic" && d.tokens.PeekKind() != 'n' {
			semantic, err = d.semantic()
		} else {
			err = d.skip()
		}
		if err != nil {
			return semantic, err
		}
	}
}

// semantic consumes the name of a semantic (AuthZEN 1.0, section 7.1.2.1).
func (d *decoding) semantic() (authz.Semantic, error) {
	name, err := d.text("options", "evaluations_semantic")
	if err != nil {
		return 0, err
	}
	switch name {
	case "execute_all":
		return authz.ExecuteAll, nil
	case "deny_on_first_deny":
		return authz.DenyOnFirstDeny, nil
	case "permit_on_first_permit":
		return authz.PermitOnFirstPermit, nil
	}
	if len(name) > 64 {
		name = name[:64]
	}
	return 0, authz.Errorf(authz.Malformed, "options.evaluations_semantic",
		"%q is not known; use execute_all, deny_on_first_deny or permit_on_first_permit", name)
}
