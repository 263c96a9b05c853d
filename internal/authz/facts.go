package authz

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Kind is a kind of record that the directory holds.
type Kind string

// The kinds of record.
const (
	KindRole         Kind = "role"
	KindGroup        Kind = "group"
	KindPatientGroup Kind = "patient_group"
	KindTeamMember   Kind = "team_member"
	KindPatient      Kind = "patient"
	KindBooking      Kind = "booking"
)

// Key names one entity of an organisation.
type Key struct {
	Kind Kind
	ID   string
}

// Facts is one consistent reading of an organisation: everything in it was
// true at Revision.
type Facts struct {
	// Organisation is false when there is no such organisation; then nothing
	// in it is found either.
	Organisation bool
	Revision     Revision
	// Until is when the reading has become too old to answer from, the zero time
	// for never.
	Until time.Time

	facts []*Fact
	byKey map[Key]*Fact // nil for a reading so small that a scan is cheaper
}

// Expired reports whether the reading is too old to answer from, by the monotonic
// clock or by that of the wall, which goes on while a machine is suspended.
func (f *Facts) Expired() bool {
	if f.Until.IsZero() {
		return false
	}
	now := time.Now()
	return !now.Before(f.Until) || now.UnixNano() >= f.Until.UnixNano()
}

// All returns the facts that the reading consists of. They are not to be changed.
func (f *Facts) All() []*Fact { return f.facts }

// Freshness says how old the facts of an answer may be. The zero value accepts
// what the directory holds ready.
type Freshness struct {
	// AtLeast asks for facts of this revision or a later one of the same history.
	AtLeast Revision
	// Full asks for facts that are read for this question.
	Full bool
}

// fewFacts is how many facts are found by a scan. One question has fewer.
const fewFacts = 16

// NewFacts makes a reading from the facts it consists of, which it keeps.
func NewFacts(organisation bool, revision Revision, facts ...*Fact) *Facts {
	f := &Facts{Organisation: organisation, Revision: revision, facts: facts}
	if len(facts) > fewFacts {
		f.byKey = make(map[Key]*Fact, len(facts))
		for _, fact := range facts {
			f.byKey[fact.Key] = fact
		}
	}
	return f
}

// Get returns the fact for key, one that is not found when the reading has
// none. It never returns nil.
func (f *Facts) Get(key Key) *Fact {
	if f.byKey != nil {
		if fact := f.byKey[key]; fact != nil {
			return fact
		}
		return &Fact{Key: key}
	}
	for _, fact := range f.facts {
		if fact.Key == key {
			return fact
		}
	}
	return &Fact{Key: key}
}

// Revision is an organisation's count of committed changes, with a nonce that
// tells a lost history from a new one of the same length. The zero value is
// the revision of an organisation that does not exist.
type Revision struct {
	Count uint64
	Nonce string
}

// String returns the opaque token that callers see: count.nonce.
func (r Revision) String() string {
	if r.Nonce == "" {
		return strconv.FormatUint(r.Count, 10) + ".0"
	}
	return strconv.FormatUint(r.Count, 10) + "." + r.Nonce
}

// MayInclude reports whether facts at r can include the changes up to want. That
// a lower count is of the same history is not to be seen from the two alone.
func (r Revision) MayInclude(want Revision) bool {
	return r.Count > want.Count || r == want
}

// ParseRevision reads a token that String wrote.
func ParseRevision(token string) (Revision, error) {
	count, nonce, ok := strings.Cut(token, ".")
	n, err := strconv.ParseUint(count, 10, 64)
	if !ok || err != nil || nonce == "" {
		return Revision{}, fmt.Errorf("%q is not a revision token; pass back what Caregate-Revision said", token)
	}
	if nonce == "0" {
		nonce = ""
	}
	return Revision{Count: n, Nonce: nonce}, nil
}
