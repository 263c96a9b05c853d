package wire

import (
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// Batch is what an evaluations request asks.
type Batch struct {
	// Single is the question of a request without items, which is answered as
	// an evaluation; nil when there are items.
	Single *authz.Request
	// Requests has nil in the place of an item that cannot be asked.
	Requests []*authz.Request
	Semantic authz.Semantic

	bad   []error // why an item cannot be asked; nil when every item can
	items []item
}

// item is one element of evaluations.
type item struct {
	question
	err error
}

// Evaluations decodes a batch (AuthZEN 1.0, section 7.1) of at most limit
// items. What is wrong inside one item fails only that item; what is wrong with
// a default fails the batch, but a default may lack members that no item needs.
func (d *Decoder) Evaluations(body []byte, limit int) (*Batch, error) {
	if err := d.begin(body); err != nil {
		return nil, err
	}
	var b Batch
	var defaults question
	if err := d.members(func(name []byte) (err error) {
		switch string(name) {
		case "evaluations":
			b.items, err = d.items(limit)
		case "options":
			b.Semantic, err = d.options()
		default:
			err = d.part(&defaults, name, "")
		}
		return err
	}); err != nil {
		return nil, err
	}
	if len(b.items) == 0 {
		var err error
		b.Single, err = d.complete(&defaults)
		return &b, err
	}
	if err := endsThere(&d.tokens); err != nil {
		return nil, err
	}
	if n := len(b.items); d.shared*n > maxRepeated {
		return nil, authz.Errorf(authz.TooLarge, "evaluations",
			"%d items with a context or properties of %d values that all of them share; send fewer at once", n, d.shared)
	}
	d.finish(&b, &defaults)
	return &b, nil
}

// finish gives the items of a batch what they inherit, and makes requests of them.
func (d *Decoder) finish(b *Batch, defaults *question) {
	b.Requests = make([]*authz.Request, len(b.items))
	for i := range b.items {
		it := &b.items[i]
		if it.err == nil {
			d.item = i
			it.inherit(defaults)
			it.err = d.lacking(&it.question)
		}
		if it.err == nil {
			b.Requests[i] = &it.Request
			continue
		}
		if b.bad == nil {
			b.bad = make([]error, len(b.items))
		}
		b.bad[i] = it.err
	}
	d.item = -1
}

// inherit takes the defaults that q has nothing of its own for, each as a whole
// and never merged.
func (q *question) inherit(defaults *question) {
	for p := Subject; p <= Resource; p++ {
		if q.given[p] || !defaults.given[p] {
			continue
		}
		q.given[p], q.lacks[p], q.inherited[p] = true, defaults.lacks[p], true
		switch p {
		case Subject:
			q.Subject = defaults.Subject
		case Action:
			q.Action = defaults.Action
		case Resource:
			q.Resource = defaults.Resource
		}
	}
	if !q.hasContext {
		q.Context = defaults.Context
	}
}

// Failed returns why an item has no decision: why it cannot be asked, or failed, with its
// field named as it stands in the body: in the item, or among the defaults that it took. It
// is nil where there is a decision.
func (b *Batch) Failed(i int, failed error) error {
	if b.bad != nil && b.bad[i] != nil {
		return b.bad[i]
	}
	if failed == nil {
		return nil
	}
	return Placed(failed, func(field string) string {
		part, _, _ := strings.Cut(field, ".")
		q := &b.items[i].question
		for p := Subject; p <= Resource; p++ {
			if part == p.String() && q.inherited[p] {
				return field
			}
		}
		if field == "" || part == "context" && !q.hasContext {
			return field
		}
		return Item("evaluations", i) + "." + field
	})
}

// items consumes the member evaluations. A null is no array at all.
func (d *Decoder) items(limit int) ([]item, error) {
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
func (d *Decoder) oneItem(q *question) error {
	depth := d.tokens.StackDepth()
	wrong := d.object("")
	if wrong == nil {
		wrong = d.rest(q)
	}
	if wrong == nil || d.broken {
		return wrong
	}
	if err := d.skipTo(depth); err != nil {
		return err
	}
	return wrong
}

// options consumes the member options (AuthZEN 1.0, section 7.1.2). Options
// that it does not know are ignored.
func (d *Decoder) options() (semantic authz.Semantic, err error) {
	if given, err := d.notNull(); err != nil || !given {
		return semantic, err
	}
	if err := d.object("options"); err != nil {
		return semantic, err
	}
	err = d.members(func(name []byte) (err error) {
		if string(name) != "evaluations_semantic" || d.tokens.PeekKind() == 'n' {
			return d.skip()
		}
		semantic, err = d.semantic()
		return err
	})
	return semantic, err
}

// semantic consumes the name of a semantic (AuthZEN 1.0, section 7.1.2.1).
func (d *Decoder) semantic() (authz.Semantic, error) {
	name, err := d.nonEmpty("options", "evaluations_semantic")
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
	return 0, malformed("options.evaluations_semantic",
		"%q is not known; use execute_all, deny_on_first_deny or permit_on_first_permit", name)
}
