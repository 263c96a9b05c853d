package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/connect"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/model"
)

// The limits of one step of an audit, and of what it remembers.
const (
	scanKeys         = 1000    // keys that Redis looks at before it answers
	auditItems       = 250     // keys compared by one script at most,
	MaxCommands      = 1000    // ended after this many commands: some milliseconds
	MaxMembers       = 250     // members of an index on a page, and fields of an entity that are compared at once
	MaxFields        = 100_000 // of a hash that is read
	maxSuspects      = 10_000  // keys with a finding that wait to be looked at again
	reviewedEntities = 100     // roles, groups and members read at once for a review
)

// Config says what becomes of what an audit finds.
type Config struct {
	// Report is given each finding once, in no order. An error ends the audit and
	// is returned. nil only counts them.
	Report func(Finding) error
	// Review is given every role, group and team member that can be read, with
	// facts that have the role and groups of a member, so that what is no matter of
	// the layout can be looked at as well. An entity may be given twice. An error
	// ends the audit and is returned. nil means that nobody looks.
	Review func(ctx context.Context, fact *authz.Fact, facts *authz.Facts) error
}

// Result is the outcome of an audit.
type Result struct {
	// Entities and Indexes count the keys that were looked at. One that Redis names
	// twice, which it may while it resizes its table, counts twice.
	Entities, Indexes int
	Breaches, Advice  int // findings
	// First and Last are the revisions at the beginning and at the end. All of the
	// findings hold at Last, or at a revision between them. They are the zero
	// revision where the head has no valid one.
	First, Last authz.Revision
}

// Source is what an audit reads, all of it over one connection.
type Source struct {
	// scripts are those that the server lets run.
	Scripts script.Set
	Conn    *redis.Conn
	// readFacts returns the facts about keys, read as one snapshot over conn.
	ReadFacts func(ctx context.Context, keys []authz.Key) (*authz.Facts, error)
}

// Run looks at every key of an organisation and reports each breach of what
// must always hold: that the two sides of every relationship agree, that
// everything named exists, that entities are as they are written, and as the
// changes that are remembered left them. An organisation of which there is no key
// is NotFound.
//
// It reads the stream of changes first, which is never altered, only added to and
// shortened. Then it takes the keys from SCAN, page by page, and compares each with
// all that it has to agree with in one script, so that a change in the meantime
// cannot look like a breach. Where the revision moves on while findings are held
// back, they are looked at again, and only those that still hold are reported. An
// entity made or removed meanwhile may be missed. Facts that were replaced by
// others in the meantime end it with an error of kind Conflict. It uses one
// connection, for a cursor means nothing to another server: if that is lost the
// audit ends with an error, of kind Unavailable or Timeout.
func Run(ctx context.Context, organisation string, src Source, c Config) (Result, error) {
	key := script.HeadKey(organisation)
	a := &auditor{
		Source: src, config: c, organisation: organisation,
		head: key, prefix: strings.TrimSuffix(key, "head"), reported: map[[16]byte]struct{}{}, changes: newChangesAudit(),
	}
	if err := a.run(ctx); err != nil {
		return Result{}, err
	}
	return a.done, nil
}

// auditor is one audit.
type auditor struct {
	Source
	organisation string
	config       Config
	head, prefix string // the key of the head, and what comes before the name of each key

	done     Result
	now      headState // as the last script saw it
	suspects []suspect
	held     int
	reported map[[16]byte]struct{} // digests of the findings reported
	changes  *changesAudit
}

// suspect is a key with findings that are held back.
type suspect struct {
	item     item
	revision authz.Revision
	findings []Finding
}

// item is one key to look at: what is a kind, an index, or whatIsKey; for an index
// also the page or the member, and for an entity one field, as audit.lua says.
type item struct{ what, id, cursor, member string }

const (
	whatIsKey  = "key"
	onlyMember = "only"
)

func (a *auditor) run(ctx context.Context) error {
	if _, err := a.compare(ctx, nil); err != nil {
		return err
	}
	a.done.First = a.now.revision()
	if a.now.typ == "hash" && a.now.isOther() {
		a.done.Last = a.done.First
		return a.report(a.now.findings())
	}
	found := a.now.typ != "none"
	if err := a.followChanges(ctx); err != nil {
		return err
	}
	for cursor, more := "0", true; more; more = cursor != "0" {
		var keys []string
		var err error
		if keys, cursor, err = a.names(ctx, cursor); err != nil {
			return err
		}
		found = found || len(keys) > 0
		for page := range slices.Chunk(keys, scanKeys) {
			if err := a.lookAt(ctx, page); err != nil {
				return err
			}
		}
	}
	if err := a.settle(ctx); err != nil {
		return err
	}
	a.done.Last = a.now.revision()
	if !found {
		return script.NoOrganisation()
	}
	return a.report(a.now.findings())
}

// names reads a page of the names of all keys.
func (a *auditor) names(ctx context.Context, cursor string) (keys []string, next string, err error) {
	reply, err := a.Scripts.Scan.RunRO(ctx, a.Conn, []string{a.head}, cursor, scanKeys).Slice()
	if err != nil {
		return nil, "", connect.Unavailable(ctx, err)
	}
	next, ok := script.Item[string](reply, 0)
	keys, ok2 := script.Texts(reply, 1)
	if !ok || !ok2 {
		return nil, "", badReply()
	}
	return keys, next, nil
}

// lookAt looks at the keys of a page, all of each.
func (a *auditor) lookAt(ctx context.Context, keys []string) error {
	var items []item
	var review []authz.Key
	for _, key := range keys {
		it, counted := itemOf(strings.TrimPrefix(key, a.prefix))
		if it == (item{}) { // the head or the stream
			continue
		}
		if counted != nil {
			*counted(&a.done)++
		}
		items = append(items, it)
		switch kind := authz.Kind(it.what); kind {
		case authz.KindRole, authz.KindGroup, authz.KindTeamMember:
			review = append(review, authz.Key{Kind: kind, ID: it.id})
		}
	}
	for len(items) > 0 {
		page := items[:min(len(items), auditItems)]
		outcomes, err := a.compare(ctx, page)
		if err != nil {
			return err
		}
		items = items[len(outcomes):]
		for i, o := range outcomes {
			a.hold(page[i], o.findings)
			items = append(items, o.next...)
		}
		if a.held >= maxSuspects {
			if err := a.settle(ctx); err != nil {
				return err
			}
		}
	}
	return a.review(ctx, review)
}

// itemOf returns what to do with a key, given its name after the prefix, and what
// it counts as. The head and the stream, which are looked at anyway, are no items.
func itemOf(name string) (it item, counted func(*Result) *int) {
	if name == "head" || name == "changes" {
		return item{}, nil
	}
	what, id, hasID := strings.Cut(name, ":")
	switch {
	case hasID && model.Has(authz.Kind(what)):
		return item{what: what, id: id}, func(d *Result) *int { return &d.Entities }
	case layout.IsIndex(what) && hasID == (what != layout.IndexAdmins) && (what != "ids" || model.Has(authz.Kind(id))):
		return item{what: what, id: id, cursor: "0"}, func(d *Result) *int { return &d.Indexes }
	default:
		return item{what: whatIsKey, id: name}, nil
	}
}

// hold keeps findings until they are looked at again. Those about one member of an
// index are looked at without the rest of its page.
func (a *auditor) hold(it item, findings []outcomeFinding) {
	for _, f := range findings {
		again := it
		if layout.IsIndex(it.what) {
			again.cursor, again.member = "", ""
			if f.ofMember {
				again.cursor, again.member = onlyMember, f.member
			}
		}
		a.held++
		if last := len(a.suspects) - 1; last >= 0 && a.suspects[last].item == again {
			a.suspects[last].findings = append(a.suspects[last].findings, f.Finding)
			continue
		}
		a.suspects = append(a.suspects, suspect{item: again, revision: a.now.revision(), findings: []Finding{f.Finding}})
	}
}

// settle reports the findings that are held back and still hold.
func (a *auditor) settle(ctx context.Context) error {
	suspects := a.suspects
	a.suspects, a.held = nil, 0
	// Has the revision moved, and is it of the same history?
	if err := a.followChanges(ctx); err != nil {
		return err
	}
	var again []item
	for _, s := range suspects {
		if s.revision != a.now.revision() {
			again = append(again, s.item)
		} else if err := a.report(s.findings); err != nil {
			return err
		}
	}
	for len(again) > 0 {
		outcomes, err := a.compare(ctx, again[:min(len(again), auditItems)])
		if err != nil {
			return err
		}
		again = again[len(outcomes):]
		for _, o := range outcomes {
			for _, f := range o.findings {
				if err := a.report([]Finding{f.Finding}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// report reports each finding that was not reported before.
func (a *auditor) report(findings []Finding) error {
	for _, f := range findings {
		sum := sha256.Sum256([]byte(strings.Join([]string{string(f.Rule), f.Kind, f.ID, f.What}, "\x00")))
		digest := [16]byte(sum[:16])
		if _, again := a.reported[digest]; again {
			continue
		}
		a.reported[digest] = struct{}{}
		if f.Advice {
			a.done.Advice++
		} else {
			a.done.Breaches++
		}
		if a.config.Report != nil {
			if err := a.config.Report(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// review gives roles, groups and members to whoever wants to look at them. One
// that cannot be read whole has a finding already.
func (a *auditor) review(ctx context.Context, keys []authz.Key) error {
	if a.config.Review == nil {
		return nil
	}
	for page := range slices.Chunk(keys, reviewedEntities) {
		intact, err := a.reviewPage(ctx, page)
		for i := 0; i < len(page) && !intact && err == nil && len(page) > 1; i++ {
			_, err = a.reviewPage(ctx, page[i:i+1])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// reviewPage reads entities over the connection of the audit, as one snapshot, and
// gives each to the reviewer. It reports false, and gives none, if any is damaged.
func (a *auditor) reviewPage(ctx context.Context, keys []authz.Key) (intact bool, err error) {
	facts, damage := a.ReadFacts(ctx, keys)
	if damage != nil {
		if _, is := errors.AsType[*authz.Error](damage); !is {
			return false, connect.Unavailable(ctx, damage)
		}
		return false, nil
	}
	intact = true
	for _, key := range keys {
		if fact := facts.Get(key); fact.Found {
			if err := a.config.Review(ctx, fact, facts); err != nil {
				return intact, err
			}
		}
	}
	return intact, nil
}
