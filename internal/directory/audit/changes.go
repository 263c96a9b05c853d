package audit

import (
	"cmp"
	"context"
	"hash/maphash"
	"maps"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/connect"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
)

// The limits of one look at the stream.
const (
	auditChangeBytes  = 256 << 10
	MaxChangeCommands = 500
)

// changesAudit is what an audit knows of the stream of changes: as much of each
// change as the rest of the audit needs. A change is never altered, so that what was
// read once stays true until it is removed from the stream.
//
// Its size is in proportion to what the stream keeps: some 100 bytes for each change,
// entity and field in it. What has a name is kept as a digest.
type changesAudit struct {
	known []knownChange // consecutive
	first uint64        // the number of the first one
	last  string        // the id of the last change that was read, "" for none

	seed     maphash.Seed
	entities map[uint64]knownEntity
	fields   map[uint64]uint64 // the digest of the value of each field of an entity, 0 if it is not there
	// gone are entities that do not exist, by the last change that names them, which
	// says that they do.
	gone map[string]string
}

type knownChange struct {
	nonce string
	bytes int // of images
}

// knownEntity is how the last change that names an entity left it.
type knownEntity struct {
	change uint64
	exists bool
	fields int // how many it has, -1 where that is not known
}

func newChangesAudit() *changesAudit {
	c := &changesAudit{seed: maphash.MakeSeed()}
	c.forget()
	return c
}

// forget drops what is known of changes that the stream no longer has.
func (c *changesAudit) forget() {
	*c = changesAudit{seed: c.seed, entities: map[uint64]knownEntity{}, fields: map[uint64]uint64{}, gone: map[string]string{}}
}

// nonce returns the nonce of the last change.
func (c *changesAudit) nonce() string {
	if len(c.known) == 0 {
		return ""
	}
	return c.known[len(c.known)-1].nonce
}

// followChanges reads the stream from where it was read to before, up to its end,
// and reports what is wrong with it. That the facts are of another history than
// before is an error of kind Conflict: what was found then says nothing of either.
func (a *auditor) followChanges(ctx context.Context) error {
	for {
		page, err := a.readChanges(ctx)
		if err != nil {
			return err
		}
		a.now = page.head
		findings, err := a.changes.take(page)
		if err != nil {
			return err
		}
		ended := page.isLast(a.changes.last)
		if ended {
			findings = append(findings, a.changes.atEnd(page, a.now)...)
		}
		if err := a.report(findings); err != nil || ended {
			return err
		}
	}
}

// changesPage is a part of the stream, and what is around it, as one snapshot.
type changesPage struct {
	head        headState
	typ         string
	first, last string
	entries     []changeEntry
	gone        map[[2]string]bool // id of a change, kind:id of an entity that it left and that is not there
}

// changeEntry is a change as it stands in the stream.
type changeEntry struct {
	id     string
	fields []string // names and values in turn
}

// isLast reports whether the stream ends with the change that has an id.
func (p changesPage) isLast(id string) bool { return p.typ != "stream" || p.last == id }

func (a *auditor) readChanges(ctx context.Context) (changesPage, error) {
	from := cmp.Or(a.changes.last, "-")
	reply, err := a.Scripts.AuditChanges.RunRO(ctx, a.Conn, []string{a.head}, from, auditChangeBytes, MaxChangeCommands).Slice()
	if err != nil {
		return changesPage{}, connect.Unavailable(ctx, err)
	}
	var p changesPage
	var ok, ok2 bool
	if p.head, ok = headStateOf(reply); !ok {
		return p, badReply()
	}
	if p.typ, ok = script.Item[string](reply, 1); !ok {
		return p, badReply()
	}
	if p.typ != "stream" {
		return p, nil
	}
	p.first, ok = script.Item[string](reply, 2)
	p.last, ok2 = script.Item[string](reply, 3)
	entries, ok3 := script.Item[[]any](reply, 4)
	gone, ok4 := script.Texts(reply, 5)
	if !ok || !ok2 || !ok3 || !ok4 || len(gone)%2 != 0 {
		return p, badReply()
	}
	p.gone = make(map[[2]string]bool, len(gone)/2)
	for pair := range slices.Chunk(gone, 2) {
		p.gone[[2]string(pair)] = true
	}
	for i := range entries {
		entry, ok := script.Item[[]any](entries, i)
		id, ok2 := script.Item[string](entry, 0)
		fields, ok3 := script.Texts(entry, 1)
		if !ok || !ok2 || !ok3 {
			return p, badReply()
		}
		p.entries = append(p.entries, changeEntry{id, fields})
	}
	return p, nil
}

// take takes a page in and returns what is wrong with it.
func (c *changesAudit) take(p changesPage) ([]Finding, error) {
	entries := p.entries
	if c.last != "" {
		switch {
		case len(entries) > 0 && entries[0].id == c.last:
			if script.ValueOf(entries[0].fields, "nonce") != c.nonce() {
				return nil, otherHistory()
			}
			entries = entries[1:]
		case len(entries) == 0 || compareIDs(p.first, c.last) <= 0:
			return nil, otherHistory()
		default: // what was between was removed as too old
			c.forget()
		}
	}
	var found []Finding
	for _, e := range entries {
		found = append(found, c.takeEntry(e, p.gone)...)
	}
	return found, nil
}

func otherHistory() *authz.Error {
	return authz.Errorf(authz.Conflict, "", "the facts were removed or replaced by another history during the audit; run it again")
}

// takeEntry takes a change in and returns what is wrong with it.
func (c *changesAudit) takeEntry(e changeEntry, gone map[[2]string]bool) []Finding {
	found := changeForm(e)
	prev, text := script.ValueOf(e.fields, "prev"), script.ValueOf(e.fields, "images")
	count, ok := changeCount(e.id)
	switch {
	case !ok:
		found = append(found, aboutChange(e.id, "has an id that is no revision followed by -0"))
	case c.last == "":
		if (count == 1) != (prev == "") {
			found = append(found, aboutChange(e.id, "is the first one and names a change before it, or is not and names none"))
		}
	case count != c.first+uint64(len(c.known)):
		found = append(found, aboutChange(e.id, "comes after %s: the changes between them are missing", Printable(c.last)))
		c.forget()
	case prev != c.nonce():
		found = append(found, aboutChange(e.id, "names another change before it than the one that the stream has"))
	}
	if len(c.known) == 0 {
		c.first = count
	}
	c.last = e.id
	c.known = append(c.known, knownChange{nonce: script.ValueOf(e.fields, "nonce"), bytes: len(text)})

	images, ok := layout.ImagesOf(text)
	if !ok {
		return append(found, aboutChange(e.id, "says what changed in a form that cannot be read"))
	}
	seen := map[authz.Key]bool{}
	for _, i := range images {
		problem := problemOf(&i)
		if seen[i.Key] {
			problem = "names an entity twice"
		}
		seen[i.Key] = true
		if !c.follows(count, i) && problem == "" {
			problem = "says of an entity that it was what the changes before did not leave"
		}
		if problem != "" {
			found = append(found, aboutChange(e.id, "%s: %s %s", problem, Printable(string(i.Key.Kind)), Printable(i.Key.ID)))
		}
		name := nameOf(i.Key)
		delete(c.gone, name)
		if gone[[2]string{e.id, name}] {
			c.gone[name] = e.id
		}
	}
	return found
}

// follows reports whether an image begins with what earlier ones of the entity left,
// as far as that is known, and remembers what it leaves.
func (c *changesAudit) follows(count uint64, i layout.Image) bool {
	name := nameOf(i.Key)
	key := c.digest(name, "")
	was, known := c.entities[key]
	if !known && c.first != 1 { // from the first change on nothing is unknown
		was.exists, was.fields = i.Existed, -1
	}
	right := was.exists == i.Existed
	before, after := fieldsOf(i.Before), fieldsOf(i.After)
	is := knownEntity{change: count, exists: i.Exists, fields: -1}
	switch {
	case !i.Exists:
		is.fields = 0
	case !i.Existed:
		is.fields = len(after)
	case was.fields >= 0:
		is.fields = was.fields + len(after) - len(before)
	}
	c.entities[key] = is

	whole := was.fields >= 0 // what is not known of it is not there
	set := func(field string, before, after uint64) {
		key := c.digest(name, field)
		if value, known := c.fields[key]; (known || whole) && value != before {
			right = false
		}
		if c.fields[key] = after; !i.Exists {
			delete(c.fields, key)
		}
	}
	for field, value := range before {
		next := uint64(0)
		if value, there := after[field]; there {
			next = c.digest(field, value)
		}
		set(field, c.digest(field, value), next)
	}
	for field, value := range after {
		if _, there := before[field]; !there {
			set(field, 0, c.digest(field, value))
		}
	}
	return right
}

func (c *changesAudit) digest(a, b string) uint64 {
	return maphash.Comparable(c.seed, [2]string{a, b}) | 1
}

func nameOf(key authz.Key) string { return string(key.Kind) + ":" + key.ID }

// doubt returns what speaks against an entity, given its hash, being as the changes
// left it, "" for nothing. One that changed after what was read is not doubted.
func (c *changesAudit) doubt(key authz.Key, since authz.Revision, hash []string) string {
	if since.Count >= c.first+uint64(len(c.known)) {
		return ""
	}
	name := nameOf(key)
	entity, known := c.entities[c.digest(name, "")]
	switch {
	case !known && since.Count < c.first: // not remembered any more
		return ""
	case !known || since.Count != entity.change:
		return "does not say that it last changed with the last change that names it"
	case since.Count < c.first || since.Nonce != c.known[since.Count-c.first].nonce:
		return "says that it last changed at a revision that there never was"
	case !entity.exists:
		return "exists, and the last change that names it deleted it"
	}
	for field := range slices.Chunk(hash, 2) {
		value, known := c.fields[c.digest(name, field[0])]
		if known && value != c.digest(field[0], field[1]) || !known && entity.fields >= 0 && field[0] != "rev" {
			return "is not as the changes left it, in " + Printable(field[0])
		}
	}
	if entity.fields >= 0 && entity.fields != len(hash)/2-1 {
		return "lacks a field that the changes left it"
	}
	return ""
}

// atEnd returns what is wrong with the stream as a whole, given the page with which
// it ends.
func (c *changesAudit) atEnd(p changesPage, head headState) []Finding {
	revision := head.revision()
	stream := func(rule Rule, format string, args ...any) []Finding {
		return []Finding{aboutKey(rule, kindKey, "changes", remedyHistory, format, args...)}
	}
	switch {
	case p.typ == "none" && head.typ == "none":
		return nil
	case p.typ == "none":
		return stream(RuleHistory, "does not exist, though every change leaves one entry in it")
	case p.typ != "stream":
		return stream(RuleType, "is a %s and must be a stream", p.typ)
	}
	var found []Finding
	for _, name := range slices.Sorted(maps.Keys(c.gone)) {
		kind, id, _ := strings.Cut(name, ":")
		found = append(found, about(RuleHistory, authz.Kind(kind), id, remedyChanged,
			"does not exist, and the last change that names it, %s, left it there", Printable(c.gone[name])))
	}
	if revision != (authz.Revision{}) && (c.last != script.StreamID(revision.Count) || c.nonce() != revision.Nonce) {
		found = append(found, stream(RuleHistory, "does not end with the change that the head names")...)
	}
	first, ok := changeCount(p.first)
	if log, valid := head.log(); ok && valid && first >= c.first {
		sum := 0
		for _, change := range c.known[min(first-c.first, uint64(len(c.known))):] {
			sum += change.bytes
		}
		if sum != log {
			found = append(found, aboutKey(RuleHead, kindHead, kindHead, remedyHistory,
				"says that the images of all changes have %d bytes, and they have %d", log, sum))
		}
	}
	return found
}
