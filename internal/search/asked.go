package search

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// What is looked for.
const (
	resources = "resource"
	subjects  = "subject"
	actions   = "action"
)

// asked is one search, with the page that is asked for.
type asked struct {
	what         string
	organisation string
	request      *authz.Request // without the name of what is looked for
	fresh        authz.Freshness
	also         authz.Revision // what the page has to include beside fresh.AtLeast
	limit        int
	from         *Cursor
	policy       string         // its digest
	question     string         // a digest of what is asked
	context      map[string]any // of the question about one candidate
}

// begin checks the page that is asked for. Its facts have to include those of the page
// before, and what the caller asked for beside that.
func (s *Service) begin(a *asked, p Page) error {
	if p.Limit < 0 || p.Limit > MaxLimit {
		return authz.Errorf(authz.Malformed, "page.limit", "must be from 1 to %d", MaxLimit)
	}
	if a.limit = p.Limit; a.limit == 0 {
		a.limit = DefaultLimit
	}
	var err error
	if a.question, err = a.digest(); err != nil {
		return err
	}
	a.policy = s.rules.Digest()
	if a.context = a.request.Context; a.context[listed] != nil {
		a.context = maps.Clone(a.context)
		delete(a.context, listed)
	}
	if p.From == nil {
		return nil
	}
	if p.From.Question != a.question {
		return authz.Errorf(authz.Malformed, tokenField, "is of another search; repeat the search as it was begun, or begin without a token")
	}
	if p.From.Policy != a.policy {
		return authz.Errorf(authz.Conflict, tokenField, "is of another version of the policy; begin again without a token")
	}
	if _, held := s.decisions.Lookup(a.typ(), ""); held && a.what != actions && !admin.ValidID(p.From.After) {
		return authz.Errorf(authz.Malformed, tokenField, "holds an id that nothing can have; pass back next_token as it was given")
	}
	a.from = p.From
	// The page has to be of the later one at least, and includes then asks whether the
	// other one is of the same history.
	if a.also, a.fresh.AtLeast = a.fresh.AtLeast, p.From.Revision; a.also.Count > p.From.Revision.Count {
		a.also, a.fresh.AtLeast = a.fresh.AtLeast, a.also
	}
	return nil
}

// includes makes sure that a page at a revision includes what the caller and the page
// before ask for beside fresh.AtLeast.
func (s *Service) includes(ctx context.Context, a *asked, revision authz.Revision) error {
	if a.also == a.fresh.AtLeast {
		return nil
	}
	return a.behind(s.store.Includes(ctx, a.organisation, revision, a.also), a.also)
}

// behind says of facts that do not include a revision what to do about the token, if
// that is what asks for it.
func (a *asked) behind(err error, asks authz.Revision) error {
	if a.from == nil || a.from.Revision != asks || err == nil || authz.KindOf(err) != authz.Behind {
		return err
	}
	return &authz.Error{
		Kind: authz.Behind, Field: tokenField, Err: err,
		Message: "the facts here do not include those of the page before; ask again, and if it stays so they were lost: begin without a token",
	}
}

// digest identifies what is asked of whom. Numbers count as they are written.
func (a *asked) digest() (string, error) {
	text, err := json.Marshal([]any{
		a.what, a.organisation,
		a.request.Subject.Type, a.request.Subject.ID, a.request.Subject.Properties,
		a.request.Action.Name, a.request.Action.Properties,
		a.request.Resource.Type, a.request.Resource.ID, a.request.Resource.Properties,
		a.request.Context,
	})
	if err != nil {
		return "", &authz.Error{Kind: authz.Malformed, Message: "the question holds what cannot be written as JSON; send JSON values alone", Err: err}
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// typ returns the type of what is looked for.
func (a *asked) typ() string {
	switch a.what {
	case subjects:
		return a.request.Subject.Type
	case resources:
		return a.request.Resource.Type
	default:
		return ""
	}
}

// openFacts says what of the question is.
func (a *asked) openFacts() authz.Open { return authz.Open{Subject: a.what == subjects} }

// listed is the member of the context in which callers name candidates. It is for the
// search alone: a check of one of them has no list, and a list for each would be long.
const listed = "candidates"

// requestFor returns the question about one candidate.
func (a *asked) requestFor(c authz.CandidateEntity) *authz.Request {
	r := *a.request
	r.Context = a.context
	switch a.what {
	case subjects:
		r.Subject.ID, r.Subject.Properties = c.ID, overlaid(c.Properties, r.Subject.Properties)
	case resources:
		r.Resource.ID, r.Resource.Properties = c.ID, overlaid(c.Properties, r.Resource.Properties)
	default:
		r.Action.Name, r.Action.Properties = c.ID, overlaid(c.Properties, r.Action.Properties)
	}
	return &r
}

// overlaid lays properties over those of a candidate.
func overlaid(candidate, given map[string]any) map[string]any {
	if len(candidate) == 0 {
		return given
	}
	out := maps.Clone(candidate)
	maps.Copy(out, given)
	return out
}

// cursor returns where a page ends.
func (a *asked) cursor(after string, hidden bool, revision authz.Revision) *Cursor {
	return &Cursor{After: after, Hidden: hidden, Revision: revision, Policy: a.policy, Question: a.question}
}
