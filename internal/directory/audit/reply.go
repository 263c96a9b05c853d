package audit

import (
	"context"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/connect"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/model"
)

// outcome is what one run of the audit script says of one item.
type outcome struct {
	findings []outcomeFinding
	next     []item // the next page of an index, or what is left of an entity
}

// outcomeFinding is a finding, and of an index the member that it is about.
type outcomeFinding struct {
	Finding
	ofMember bool
	member   string
}

// compare runs the script over items, and gives an outcome for as many of them,
// from the first on, as it looked at; one at least. It remembers the head.
func (a *auditor) compare(ctx context.Context, items []item) ([]outcome, error) {
	args := make([]any, 0, 4+4*len(items))
	args = append(args, script.Schemas, MaxCommands, MaxMembers, MaxFields)
	for _, it := range items {
		args = append(args, it.what, it.id, it.cursor, it.member)
	}
	reply, err := a.Scripts.Audit.RunRO(ctx, a.Conn, []string{a.head}, args...).Slice()
	if err != nil {
		return nil, connect.Unavailable(ctx, err)
	}
	head, ok := headStateOf(reply)
	if !ok || len(reply)-1 > len(items) {
		return nil, badReply()
	}
	a.now = head
	if len(items) > 0 && len(reply) == 1 {
		if a.now.isOther() {
			return nil, authz.Errorf(authz.Conflict, "", "the facts got another schema during the audit; run it again, with the build that wrote them")
		}
		return nil, badReply()
	}
	outcomes := make([]outcome, 0, len(reply)-1)
	for i := range reply[1:] {
		r, ok := script.Item[[]any](reply, i+1)
		if !ok {
			return nil, badReply()
		}
		o, err := a.outcomeOf(items[i], r)
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

// headStateOf reads the head with which a reply begins.
func headStateOf(reply []any) (headState, bool) {
	head, ok := script.Item[[]any](reply, 0)
	typ, ok2 := script.Item[string](head, 0)
	hash, ok3 := script.Texts(head, 1)
	return newHeadState(typ, hash), ok && ok2 && ok3
}

func badReply() *authz.Error {
	return authz.Errorf(authz.Internal, "", "the reply of the audit script has a form that this build does not know")
}

// breach is what the script says is wrong with one field or member.
type breach struct{ code, of, detail string }

func breaches(reply []any, i int) ([]breach, bool) {
	list, ok := script.Texts(reply, i)
	if !ok || len(list)%3 != 0 {
		return nil, false
	}
	out := make([]breach, 0, len(list)/3)
	for ; len(list) > 0; list = list[3:] {
		out = append(out, breach{list[0], list[1], list[2]})
	}
	return out, true
}

func (a *auditor) outcomeOf(it item, reply []any) (outcome, error) {
	typ, ok := script.Item[string](reply, 0)
	if !ok {
		return outcome{}, badReply()
	}
	if it.what == whatIsKey {
		if typ == "none" { // it is gone
			return outcome{}, nil
		}
		return of(aboutKey(RuleKey, kindKey, it.id, remedyDelete, "is no part of the layout")), nil
	}
	found, ok := breaches(reply, 2)
	if !ok {
		return outcome{}, badReply()
	}
	if layout.IsIndex(it.what) {
		next, ok := script.Item[string](reply, 1)
		if !ok {
			return outcome{}, badReply()
		}
		o := indexOutcome(it, typ, found)
		if next != "0" {
			o.next = []item{{what: it.what, id: it.id, cursor: next}}
		}
		return o, nil
	}
	hash, ok := script.Texts(reply, 1)
	if !ok {
		return outcome{}, badReply()
	}
	compared, ok := script.Item[int64](reply, 3)
	if !ok {
		return outcome{}, badReply()
	}
	if it.cursor == onlyMember && typ == "hash" {
		return of(entityFindings(authz.Kind(it.what), it.id, nil, found)...), nil
	}
	o := a.entityOutcome(authz.Kind(it.what), it.id, typ, hash, found)
	for i := 2 * int(compared); i < len(hash); i += 2 {
		o.next = append(o.next, item{what: it.what, id: it.id, cursor: onlyMember, member: hash[i]})
	}
	return o, nil
}

func of(findings ...Finding) outcome {
	var o outcome
	for _, f := range findings {
		o.findings = append(o.findings, outcomeFinding{Finding: f})
	}
	return o
}

func (a *auditor) entityOutcome(kind authz.Kind, id, typ string, hash []string, found []breach) outcome {
	switch typ {
	case "none": // it is gone; what names it is looked at for itself
		return outcome{}
	case "hash":
	case "huge":
		return of(about(RuleFields, kind, id, remedyRecord, "has more than %d fields, which is more than is looked at", MaxFields))
	default:
		return of(about(RuleType, kind, id, remedyAnew, "is a %s and must be a hash", typ))
	}
	findings := append(wellFormed(kind, id, hash), a.sinceFindings(kind, id, hash)...)
	return of(append(findings, entityFindings(kind, id, hash, found)...)...)
}

// entityFindings says in words what the script says of an entity with this hash.
func entityFindings(kind authz.Kind, id string, hash []string, found []breach) (findings []Finding) {
	for _, b := range found {
		if b.code == "reference" && kind == authz.KindPatient && b.of == "patient_group" && b.detail == "" {
			continue // reported as a patient without a group
		}
		if f, is := entityFinding(kind, id, b, hash); is {
			findings = append(findings, f)
		}
	}
	return findings
}

// sinceFindings returns what is wrong with an entity as of the revision at which it
// says that it last changed.
func (a *auditor) sinceFindings(kind authz.Kind, id string, hash []string) []Finding {
	since, err := authz.ParseRevision(script.ValueOf(hash, "rev"))
	if err != nil {
		return nil
	}
	if now := a.now.revision(); now != (authz.Revision{}) && since.Count > now.Count {
		return []Finding{about(RuleSince, kind, id, remedyChanged, "says that it last changed at a revision that is still to come")}
	}
	if doubt := a.changes.doubt(authz.Key{Kind: kind, ID: id}, since, hash); doubt != "" {
		return []Finding{about(RuleHistory, kind, id, remedyChanged, "%s", doubt)}
	}
	return nil
}

// entityFinding says in words what the script says of an entity with this hash, and
// reports whether it is anything.
func entityFinding(kind authz.Kind, id string, b breach, hash []string) (Finding, bool) {
	add := func(rule Rule, remedy, format string, args ...any) (Finding, bool) {
		return about(rule, kind, id, remedy, format, args...), true
	}
	field := fieldName(kind, b.of)
	switch b.code {
	case "unlisted":
		return add(RuleListed, remedyAnew, "exists and is not in ids:%s", kind)
	case "reference":
		rule := RuleReference
		if kind == authz.KindPatient && b.of == "patient_group" {
			rule = RuleGroup
		}
		return add(rule, "import what it names, or correct its record and import that", "names in %s what does not exist: %s", field, Printable(b.detail))
	case "lacks":
		return add(RuleBothSides, remedyRebuild, "is not in %s, which its %s says it is in", Printable(b.detail), field)
	case "no_source":
		return add(RuleBooked, remedyBooking, "is not a source of the place of %s on the care team of %s", Printable(b.of), Printable(b.detail))
	case "source_unknown":
		return add(RuleSources, "import the record of the booking; as released, if there is none any more", "has %s on the care team by a booking that does not exist: %s", Printable(b.of[2:]), Printable(b.detail))
	case "source_other":
		return add(RuleSources, remedyRebuild, "has %s on the care team by a booking of another patient or provider: %s", Printable(b.of[2:]), Printable(b.detail))
	case "source_released":
		return add(RuleSources, remedyBooking, "has %s on the care team by a booking that is released: %s", Printable(b.of[2:]), Printable(b.detail))
	case "admin":
		f, _ := add(RuleAdmins, remedyRebuild, "is in user-admins, which its permissions do not say")
		return f, !layout.HoldsAdmin(kind, hash)
	case "no_admin":
		f, _ := add(RuleAdmins, remedyRebuild, "is not in user-admins, which its permissions say it is in")
		return f, layout.HoldsAdmin(kind, hash)
	case "unused":
		return adviceOf(kind, id), true
	default:
		return add(Rule(b.code), "", "has something wrong with it that this build has no words for")
	}
}

func adviceOf(kind authz.Kind, id string) Finding {
	f := about(RuleUnused, kind, id, "give it members, or leave it if it is meant for later", "has no members")
	if kind == authz.KindPatientGroup {
		f = about(RuleUnassigned, kind, id, "give somebody Access, or leave it if that is meant",
			"has patients and nobody has Access to it: only care teams and patient:view_all see them")
	}
	f.Advice = true
	return f
}

// fieldName returns what the field of a hash is called in a record.
func fieldName(kind authz.Kind, field string) string {
	if f, _ := model.StoredField(kind, field); f != nil {
		return f.Name
	}
	return field
}

func indexOutcome(it item, typ string, found []breach) outcome {
	name := it.what + ":" + it.id
	if it.what == layout.IndexAdmins {
		name = it.what
	}
	if typ != "none" && typ != "zset" {
		return of(aboutKey(RuleType, kindIndex, name, remedyRebuild, "is a %s and must be a zset", typ))
	}
	kind, _ := layout.IndexKind(it.what, it.id)
	var o outcome
	for _, b := range found {
		f := outcomeFinding{ofMember: true, member: b.of}
		kind, id := kind, b.of
		if it.what == layout.IndexAdmins {
			memberKind, memberID, _ := strings.Cut(b.of, ":")
			kind, id = authz.Kind(Printable(memberKind)), memberID
		}
		switch b.code {
		case "orphan":
			f = outcomeFinding{Finding: aboutKey(RuleOrphan, kindIndex, name, remedyOrphan, "is about what does not exist")}
		case "member_unknown":
			f.Finding = about(RuleMissing, kind, id, remedyRestore, "is in %s and does not exist", Printable(name))
		case "one_sided":
			f.Finding = about(RuleBothSides, kind, id, remedyRebuild, "is in %s, which its own fields do not say", Printable(name))
		case "score":
			f.Finding = about(RuleScore, kind, id, remedyRebuild, "has a score other than 0 in %s", Printable(name))
		default:
			f.Finding = about(Rule(b.code), kind, id, "", "has something wrong with it in %s that this build has no words for", Printable(name))
		}
		o.findings = append(o.findings, f)
	}
	return o
}
