package review_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
	"github.com/caregate/caregate/internal/policy"
)

// small is an organisation of one patient and a member who looks after them.
func small() []string {
	return []string{
		`{"kind":"patient_group","id":"g"}`, `{"kind":"team_member","id":"m"}`, `{"kind":"team_member","id":"n"}`,
		`{"kind":"patient","id":"p","patient_group":"g","care_team":["m"]}`,
	}
}

// TestPoliciesThatCannotBeReviewed are refused, with what can be done.
func TestPoliciesThatCannotBeReviewed(t *testing.T) {
	d := orgstore.Embedded(t)
	for name, rule := range map[string]string{
		"outside":     `count(input.resource.care_team) > 2`,
		"uncountable": `input.resource.id == input.resource.patient_group`,
	} {
		w := newWard(t, d, orgtest.Edited(t, orgtest.Write("authz/extra.rego", `package authz

allow if {
	input.subject.type == "team_member"
	input.resource.type == "patient"
	`+rule+`
}
`)), name)
		w.load(small()...)
		_, _, member := w.Member(t.Context(), w.org, "m", operator, authz.Freshness{})
		_, _, preview := w.Preview(t.Context(), w.org, []admin.Edit{{Op: admin.Link, Relation: admin.Access, From: "m", To: "g"}}, operator, authz.Freshness{})
		for _, err := range []error{member, preview} {
			if err == nil || authz.KindOf(err) != authz.Unsupported || !strings.Contains(err.Error(), "cannot be counted") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// compiled compiles a policy of one file.
func compiled(t *testing.T, text, catalogue string) authz.Rules {
	t.Helper()
	files := data.Files()
	if catalogue != "" {
		files = fstest.MapFS{"catalogue/data.json": &fstest.MapFile{Data: []byte(catalogue)}}
	}
	source, err := policy.Read(fstest.MapFS{"authz/allow.rego": &fstest.MapFile{Data: []byte(text)}}, files)
	if err != nil {
		t.Fatal(err)
	}
	return orgtest.Compile(t, source, policy.Config{})
}

// TestWithoutRoutes: a policy that names no routes is reviewed by what it allows.
func TestWithoutRoutes(t *testing.T) {
	rules := compiled(t, `package authz

# METADATA
# entrypoint: true
allow if input.subject.id in input.resource.care_team
`, "")
	w := newWard(t, orgstore.Embedded(t), rules, "plain")
	w.load(small()...)
	member, _, err := w.Member(t.Context(), w.org, "m", operator, authz.Freshness{})
	if err != nil || member.Patients != 1 || member.Routes != nil || member.Notes != nil {
		t.Errorf("%+v, %v", member, err)
	}
	patient, _, err := w.Patient(t.Context(), w.org, "p", operator, authz.Freshness{})
	if err != nil || patient.Total != 1 || patient.Routes != nil || patient.Members[0].Member != "m" || patient.Members[0].Routes != nil {
		t.Errorf("%+v, %v", patient, err)
	}
	preview, _, err := w.Preview(t.Context(), w.org, []admin.Edit{
		{Op: admin.Link, Relation: admin.CareTeam, From: "p", To: "n"}, {Op: admin.Unlink, Relation: admin.CareTeam, From: "p", To: "m"},
	}, operator, authz.Freshness{})
	if err != nil || preview.Total != 2 || preview.Gained.Patients != 1 || preview.Lost.Patients != 1 || preview.Still.Patients != 0 ||
		preview.Gained.Routes != nil || !slices.Equal(preview.Members[0].Lost.Examples, []string{"p"}) {
		t.Errorf("%+v, %v", preview, err)
	}
}

// TestOtherCatalogues: where the directory knows no patients there is nobody to see.
func TestOtherCatalogues(t *testing.T) {
	rules := compiled(t, `package authz

# METADATA
# entrypoint: true
allow if input.subject.id == input.resource.id
`, `{"types":{"team_member":{"facts":"team_member","actions":{}},"patient":{"actions":{"view":{}}}}}`)
	w := newWard(t, orgstore.Embedded(t), rules, "other")
	w.load(small()...)
	_, _, err := w.Member(t.Context(), w.org, "m", operator, authz.Freshness{})
	if err == nil || authz.KindOf(err) != authz.Unsupported {
		t.Error(err)
	}
}
