package policy_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
)

func role(id string, permissions ...string) *authz.Fact {
	return &authz.Fact{Key: authz.Key{Kind: authz.KindRole, ID: id}, Found: true, Permissions: permissions}
}

func group(id string, permissions ...string) *authz.Fact {
	return &authz.Fact{Key: authz.Key{Kind: authz.KindGroup, ID: id}, Found: true, Permissions: permissions}
}

func member(id, role string, groups ...string) *authz.Fact {
	return &authz.Fact{Key: authz.Key{Kind: authz.KindTeamMember, ID: id}, Found: true, Role: role, Groups: groups}
}

func permissions(t *testing.T, s *policy.Snapshot, facts memory) map[string]authz.Grant {
	t.Helper()
	grants, _, err := authz.NewService(facts, s).Permissions(t.Context(), "o", "mark", authz.Freshness{})
	if err != nil {
		t.Fatal(err)
	}
	return grants
}

func TestP3WhatAPermissionGrants(t *testing.T) {
	crud := []string{"stock:create", "stock:delete", "stock:update", "stock:view"}
	snapshots := bothAlone(t, embedded(t))
	for name, c := range map[string]struct{ given, want []string }{
		"by name":                       {[]string{"stock:view"}, []string{"stock:view"}},
		"a type's wildcard":             {[]string{"stock:*"}, crud},
		"a wildcard without the scopes": {[]string{"patient:*"}, []string{"patient:create", "patient:delete", "patient:update", "patient:view"}},
		"a wildcard of what there is":   {[]string{"report:*"}, []string{"report:create", "report:delete", "report:view"}},
		"a scope by name":               {[]string{"patient:view_all"}, []string{"patient:view_all"}},
		"no wildcard for one action":    {[]string{"*:view"}, nil},
		"a star alone":                  {[]string{"*"}, nil},
		"a part of a name":              {[]string{"patient:vi*", "pat*:view"}, nil},
		"unknown to the catalogue":      {[]string{"invoice:approve", "stock:approve", "stock:view_all"}, nil},
		"an action that needs another":  {[]string{"provider:book"}, nil},
		"its type's wildcard":           {[]string{"provider:*"}, []string{"provider:view"}},
		"a type without actions":        {[]string{"team_member:*", "team_member:view"}, nil},
		"in capitals":                   {[]string{"Stock:view", "STOCK:*"}, nil},
		"nothing":                       {nil, nil},
	} {
		for evaluator, s := range snapshots {
			got := slices.Sorted(maps.Keys(permissions(t, s, memory{member("mark", "r"), role("r", c.given...)})))
			if !slices.Equal(got, c.want) {
				t.Errorf("%s, %s: %v, want %v", name, evaluator, got, c.want)
			}
		}
	}
}

func TestP3EverythingIsAllTheCatalogueHas(t *testing.T) {
	for _, s := range bothAlone(t, embedded(t)) {
		grants := permissions(t, s, memory{member("mark", "", "g"), group("g", "*:*")})
		for _, want := range []string{"patient:view_all", "stock:delete", "appointment:create", "provider:view"} {
			if got := grants[want]; !slices.Equal(got.Groups, []string{"g"}) || got.Role != "" {
				t.Errorf("%s: %v", want, got)
			}
		}
		if _, ok := grants["provider:book"]; ok {
			t.Error("provider:book is granted, and nothing needs it")
		}
	}
}

func TestP2GrantsSayWhereTheyComeFrom(t *testing.T) {
	for _, s := range bothAlone(t, embedded(t)) {
		grants := permissions(t, s, memory{
			member("mark", "r", "b", "a", "gone"), role("r", "stock:*"), group("a", "stock:view"), group("b", "stock:view", "patient:view"),
		})
		if g := grants["stock:view"]; g.Role != "r" || !slices.Equal(g.Groups, []string{"a", "b"}) {
			t.Errorf("stock:view: %v", g)
		}
		if g := grants["stock:delete"]; g.Role != "r" || len(g.Groups) != 0 {
			t.Errorf("stock:delete: %v", g)
		}
		if g := grants["patient:view"]; g.Role != "" || !slices.Equal(g.Groups, []string{"b"}) {
			t.Errorf("patient:view: %v", g)
		}
		// A role and a group of one name are two things.
		grants = permissions(t, s, memory{member("mark", "x", "x"), role("x", "stock:view"), group("x", "patient:view")})
		if g := grants["stock:view"]; g.Role != "x" || len(g.Groups) != 0 {
			t.Errorf("stock:view: %v", g)
		}
	}
}

// What is remembered of a role must not outlive an edit of it.
func TestAnEditedRoleIsAnotherRole(t *testing.T) {
	for _, s := range bothAlone(t, embedded(t)) {
		mark := member("mark", "r")
		if g := permissions(t, s, memory{mark, role("r", "stock:view")}); len(g) != 1 {
			t.Errorf("%v", g)
		}
		if g := permissions(t, s, memory{mark, role("r")}); len(g) != 0 {
			t.Errorf("%v", g)
		}
		if g := permissions(t, s, memory{mark}); len(g) != 0 {
			t.Errorf("%v", g)
		}
		if d, err := ask(t, s, memory{mark, role("r", "stock:view")}, request("team_member:mark", "view", "stock:1")); err != nil || !d.Allow {
			t.Errorf("%v, %v", d, err)
		}
		if d, err := ask(t, s, memory{mark, role("r", "stock:update")}, request("team_member:mark", "view", "stock:1")); err != nil || d.Allow {
			t.Errorf("%v, %v", d, err)
		}
	}
}

// A policy that has no rule for grants takes permissions as they are listed.
func TestWithoutARulePermissionsAreTakenAsListed(t *testing.T) {
	rego := "package authz\n\nallow if input.subject.permissions[\"stock:*\"]\n"
	source := written(t, one(rego), map[string]string{"catalogue/data.json": `{"types":{"team_member":{"facts":"team_member"}}}`})
	for _, s := range both(t, source) {
		d, err := ask(t, s, memory{member("mark", "r"), role("r", "stock:*")}, request("team_member:mark", "view", "stock:1"))
		if err != nil || !d.Allow {
			t.Errorf("%v, %v", d, err)
		}
	}
}
