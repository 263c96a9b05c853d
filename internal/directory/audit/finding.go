package audit

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// Rule says what a finding of an audit is about. Where the rules of the product
// have a number, it is that.
type Rule string

// The rules that Audit holds an organisation to.
const (
	RuleHead       Rule = "head"       // the head has a valid revision
	RuleSchema     Rule = "schema"     // of a schema that this build knows
	RuleKey        Rule = "key"        // every key is part of the layout
	RuleType       Rule = "type"       // and has the type that the layout gives it
	RuleID         Rule = "id"         // every id is within the limits
	RuleFields     Rule = "fields"     // every entity has its fields, with valid values
	RuleListed     Rule = "listed"     // the list of a kind has the ids of all entities of the kind
	RuleMissing    Rule = "missing"    // and every list and index only such as exist
	RuleOrphan     Rule = "orphan"     // an index is about an entity that exists
	RuleBothSides  Rule = "both_sides" // both sides of a relationship agree
	RuleScore      Rule = "score"      // all scores are 0, so that ids are in order
	RuleReference  Rule = "reference"  // what an entity names exists
	RuleGroup      Rule = "V5"         // a patient is in exactly one patient group
	RuleBooking    Rule = "B1"         // only providers have Booking
	RuleBooked     Rule = "B5"         // a booking is a source of its provider's place on the care team
	RuleSources    Rule = "B6"         // and places on a care team have no other sources than bookings and manual
	RuleHistory    Rule = "A3"         // the stream has every change, and the facts are as the changes left them
	RuleSince      Rule = "since"      // every entity says at which revision it last changed
	RuleAdmins     Rule = "A4"         // whatever grants user:* is known
	RuleUnused     Rule = "unused"     // advice: every role and group has members
	RuleUnassigned Rule = "unassigned" // advice: somebody has Access to every patient group
)

// Title says in a few words what is wrong when r is broken.
func (r Rule) Title() string {
	switch r {
	case RuleHead:
		return "the head of the organisation is damaged"
	case RuleSchema:
		return "the facts have a schema that this build does not know"
	case RuleKey:
		return "keys that are no part of the layout"
	case RuleType:
		return "keys of the wrong type"
	case RuleID:
		return "ids outside the limits"
	case RuleFields:
		return "entities with a field that is missing, unknown or invalid"
	case RuleListed:
		return "entities that are not listed"
	case RuleMissing:
		return "entities that are listed and do not exist"
	case RuleOrphan:
		return "indexes about what does not exist"
	case RuleBothSides:
		return "relationships whose two sides disagree"
	case RuleScore:
		return "members of sorted sets with a score"
	case RuleReference:
		return "references to what does not exist"
	case RuleGroup:
		return "patients that are not in exactly one patient group that exists"
	case RuleBooking:
		return "Booking of members who are not providers"
	case RuleBooked:
		return "bookings that do not put their provider on the care team"
	case RuleSources:
		return "places on a care team with a wrong source"
	case RuleHistory:
		return "changes that are missing, or that disagree with each other or with the facts"
	case RuleSince:
		return "entities that do not say at which revision they last changed"
	case RuleAdmins:
		return "roles and groups whose user:* is not kept account of"
	case RuleUnused:
		return "roles and groups without members"
	case RuleUnassigned:
		return "patient groups that nobody has Access to"
	default:
		return string(r)
	}
}

// Finding is one thing that an audit found. It names people by their ids, so it
// is for whoever asked for the audit and never for a log. Ids in it can be
// printed: what is no printable text is written with escapes.
type Finding struct {
	Rule Rule
	// Kind is the kind of the entity that the finding is about, or else head, index,
	// key or change.
	Kind string
	// ID is its id; of an index or key, the name after the organisation's prefix.
	ID string
	// What says what is wrong, and Remedy what to do about it.
	What, Remedy string
	// Advice is true for what is no breach and may be meant.
	Advice bool
}

// The kinds of a finding that is about no entity.
const (
	kindHead   = "head"
	kindIndex  = "index"
	kindKey    = "key"
	kindChange = "change" // an entry of the stream
)

// The remedies. An import replaces the fields of an entity and keeps the other
// side of what changes; it does not look at the other side of what does not.
const (
	remedyRebuild = "build both sides anew: export the organisation, and import that into a Redis, or under a name, that does not have it"
	remedyRecord  = "import its record, corrected"
	remedyRestore = "import its record, from an export or its source"
	remedyAnew    = "delete the key, and import its record if there is to be one"
	remedyTeam    = "delete the key of the patient, then import its record and those of its bookings"
	remedyBooking = "import the record of the booking as it is"
	remedyOrphan  = "import the record of what it is about, or delete the key if there is to be none"
	remedyHistory = "do not rely on the history; find out who wrote to it, for only Caregate may, and begin a new one: export the organisation, and import that into a Redis, or under a name, that does not have it"
	remedyChanged = "find out who wrote the key, for only Caregate may, and import the record as it should be"
	remedyDelete  = "find out who wrote the key, for only Caregate may, and delete it"
)

// about makes a finding about an entity.
func about(rule Rule, kind authz.Kind, id, remedy, format string, args ...any) Finding {
	return Finding{Rule: rule, Kind: string(kind), ID: Printable(id), What: fmt.Sprintf(format, args...), Remedy: remedy}
}

// aboutKey makes a finding about a key that is no entity; name is what follows
// the prefix.
func aboutKey(rule Rule, kind, name, remedy, format string, args ...any) Finding {
	return Finding{Rule: rule, Kind: kind, ID: Printable(name), What: fmt.Sprintf(format, args...), Remedy: remedy}
}

// maxShown is the most bytes of a name that are shown. No key of the layout is
// longer.
const maxShown = admin.MaxID + 64

// Printable returns text so that it can be printed: as it is, or else with the
// escapes of Go and without an end that is too long.
func Printable(text string) string {
	end := ""
	if len(text) > maxShown {
		text, end = text[:maxShown], "…"
	}
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if utf8.ValidString(text) && !strings.ContainsFunc(text, unprintable) {
		return text + end
	}
	quoted := strconv.Quote(text)
	return quoted[1:len(quoted)-1] + end
}
