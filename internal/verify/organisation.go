package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// line is a record as an import reads it.
type line struct {
	Kind         authz.Kind  `json:"kind"`
	ID           string      `json:"id"`
	Permissions  []string    `json:"permissions,omitempty"`
	Role         string      `json:"role,omitempty"`
	Groups       []string    `json:"groups,omitempty"`
	IsProvider   bool        `json:"provider,omitempty"`
	Access       []string    `json:"access,omitempty"`
	Booking      []string    `json:"booking,omitempty"`
	PatientGroup string      `json:"patient_group,omitempty"`
	CareTeam     []string    `json:"care_team,omitempty"`
	Patient      string      `json:"patient,omitempty"`
	State        admin.State `json:"state,omitempty"`
}

// bookingLine is one of a booking, in which provider is an id.
type bookingLine struct {
	Kind     authz.Kind  `json:"kind"`
	ID       string      `json:"id"`
	Patient  string      `json:"patient"`
	Provider string      `json:"provider"`
	State    admin.State `json:"state"`
}

// encode writes a record as one line of JSON, without its newline and without its name,
// on which no rule depends.
func encode(r *admin.Record) (string, error) {
	var v any = line{
		Kind: r.Kind, ID: r.ID, Permissions: r.Permissions, Role: r.Role, Groups: r.Groups, IsProvider: r.IsProvider,
		Access: r.Access, Booking: r.Booking, PatientGroup: r.PatientGroup, CareTeam: r.CareTeam,
	}
	if r.Kind == authz.KindBooking {
		v = bookingLine{r.Kind, r.ID, r.Patient, r.Provider, r.State}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), err
}

// records are the facts of an organisation, in the order of an import.
type records []admin.Record

// lines writes records as an import reads them.
func (rs records) lines() ([]string, error) {
	out := make([]string, len(rs))
	for i := range rs {
		var err error
		if out[i], err = encode(&rs[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ids returns the ids of the records of a kind.
func (rs records) ids(kind authz.Kind) []string {
	var out []string
	for i := range rs {
		if rs[i].Kind == kind {
			out = append(out, rs[i].ID)
		}
	}
	return out
}

// known is the facts of an organisation by key, made of its records without a store.
type known map[authz.Key]*authz.Fact

// facts reads records as the rules do: a booking that was not released puts the
// provider on the care team (B5, B6).
func (rs records) facts() known {
	k := known{}
	for i := range rs {
		r := &rs[i]
		if r.Kind == authz.KindBooking {
			continue
		}
		k[r.Key()] = model.FactOf(r.Key(), authz.Revision{Count: 1, Nonce: "records"}, r, slices.Clone(r.CareTeam))
	}
	for i := range rs {
		r := &rs[i]
		if r.Kind != authz.KindBooking || r.State == admin.Released {
			continue
		}
		if p := k[authz.Key{Kind: authz.KindPatient, ID: r.Patient}]; p != nil && !slices.Contains(p.CareTeam, r.Provider) {
			p.CareTeam = append(p.CareTeam, r.Provider)
		}
	}
	return k
}

// Read implements authz.Directory.
func (k known) Read(_ context.Context, _ string, keys []authz.Key, _ authz.Freshness) (*authz.Facts, error) {
	taken := map[authz.Key]bool{}
	var facts []*authz.Fact
	take := func(key authz.Key) *authz.Fact {
		f := k[key]
		if f != nil && !taken[key] {
			taken[key] = true
			facts = append(facts, f)
		}
		return f
	}
	for _, key := range keys {
		f := take(key)
		if f == nil || f.Kind != authz.KindTeamMember {
			continue
		}
		take(authz.Key{Kind: authz.KindRole, ID: f.Role})
		for _, group := range f.Groups {
			take(authz.Key{Kind: authz.KindGroup, ID: group})
		}
	}
	return authz.NewFacts(true, authz.Revision{Count: 1, Nonce: "records"}, facts...), nil
}

// exists reports whether there is an entity of a type of the catalogue. Of a type
// without facts there is always one.
func (k known) exists(spec authz.TypeSpec, id string) bool {
	if spec.Facts == "" {
		return true
	}
	f := k[authz.Key{Kind: spec.Facts, ID: id}]
	return f != nil && (f.Provider || !spec.RequireProvider)
}
