package search_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// TestCursorOfAnother continues searches with cursors that are not theirs.
func TestCursorOfAnother(t *testing.T) {
	t.Parallel()
	w := newWard(t, 100, "V2")
	r := func(change func(*authz.Request)) *authz.Request {
		out := &authz.Request{
			Subject:  authz.Entity{Type: "team_member", ID: "ana", Properties: map[string]any{"n": json.Number("1.0"), "a": "b"}},
			Action:   authz.Action{Name: "do"},
			Resource: authz.Entity{Type: "patient", ID: "ignored"},
			Context:  map[string]any{"list": []any{"x", json.Number("2")}},
		}
		change(out)
		return out
	}
	same := func(*authz.Request) {}
	first, _, err := w.service.Resources(t.Context(), riverside, r(same), search.Page{Limit: 3}, authz.Freshness{})
	if err != nil {
		t.Fatal(err)
	}
	from := carried(t, first.Next)
	ask := func(organisation string, r *authz.Request, from *search.Cursor) error {
		_, _, err := w.service.Resources(t.Context(), organisation, r, search.Page{Limit: 3, From: from}, authz.Freshness{})
		return err
	}
	for _, change := range []func(*authz.Request){same, func(r *authz.Request) { r.Resource.ID = "ignored too" }} {
		if err := ask(riverside, r(change), from); err != nil {
			t.Error(err)
		}
	}
	for name, change := range map[string]func(*authz.Request){
		"subject":    func(r *authz.Request) { r.Subject.ID = "ben" },
		"type":       func(r *authz.Request) { r.Subject.Type = "patient" },
		"a property": func(r *authz.Request) { r.Subject.Properties["n"] = json.Number("1") },
		"another":    func(r *authz.Request) { r.Subject.Properties = nil },
		"its place":  func(r *authz.Request) { r.Action.Properties, r.Subject.Properties = r.Subject.Properties, nil },
		"action":     func(r *authz.Request) { r.Action.Name = "view" },
		"resource":   func(r *authz.Request) { r.Resource.Type = "provider" },
		"reference":  func(r *authz.Request) { r.Resource.Properties = map[string]any{"patient": "p-00001"} },
		"context":    func(r *authz.Request) { r.Context = nil },
	} {
		t.Log(name)
		refused(t, ask(riverside, r(change), from), authz.Malformed, "page.token", "another search")
	}
	refused(t, ask("hillside", r(same), from), authz.Malformed, "page.token", "another search")
	for _, find := range []func(context.Context, string, *authz.Request, search.Page, authz.Freshness) (*search.Result, authz.Stated, error){
		w.service.Subjects, w.service.Actions,
	} {
		_, _, err := find(t.Context(), riverside, r(same), search.Page{From: from}, authz.Freshness{})
		refused(t, err, authz.Malformed, "page.token", "another search")
	}
	// A place that is no id is nobody's to ask the store about.
	for _, after := range []string{"", "a\x00b", "\xff"} {
		forged := *from
		forged.After = after
		refused(t, ask(riverside, r(same), &forged), authz.Malformed, "page.token", "")
	}

	// A revision that is not there, alone and beside what the caller asks for.
	lost := *from
	lost.Revision = authz.Revision{Count: 1, Nonce: "of another history"}
	refused(t, ask(riverside, r(same), &lost), authz.Behind, "page.token", "begin without a token")
	w.randomChange()
	for _, c := range []struct {
		at    authz.Revision
		from  *search.Cursor
		field string
	}{
		{revisionOf(2), &lost, "page.token"},
		{authz.Revision{Count: 1, Nonce: "x"}, from, "Caregate-At-Least"},
		{authz.Revision{Count: 3, Nonce: "x"}, from, "Caregate-At-Least"},
	} {
		_, _, err := w.service.Resources(t.Context(), riverside, r(same), search.Page{From: c.from}, authz.Freshness{AtLeast: c.at})
		refused(t, err, authz.Behind, c.field, "")
	}
	// A page is never of before the one before it, whatever is held ready.
	w.lag = 1
	later := *from
	later.Revision = revisionOf(2)
	_, stated, err := w.service.Resources(t.Context(), riverside, r(func(*authz.Request) {}), search.Page{From: &later}, authz.Freshness{})
	if err != nil || stated.Revision != revisionOf(2) {
		t.Errorf("at %v: %v", stated.Revision, err)
	}

	w.rules.digest = "policy-2"
	refused(t, ask(riverside, r(same), from), authz.Conflict, "page.token", "another version of the policy")
}

// TestCursorText reads what is no cursor.
func TestCursorText(t *testing.T) {
	t.Parallel()
	c := &search.Cursor{After: "p-1", Revision: authz.Revision{Count: 300, Nonce: "n"}, Policy: "p", Question: "q"}
	text, err := c.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		var d search.Cursor
		refused(t, d.UnmarshalText(text[:i]), authz.Malformed, "page.token", "")
		if d != (search.Cursor{}) {
			t.Errorf("half of a cursor was read: %+v", d)
		}
	}
	for _, wrong := range []string{"", "A", "!", string(text) + "A", string(text) + "=", string(text) + "\n", "AA" + string(text[2:])} {
		refused(t, new(search.Cursor).UnmarshalText([]byte(wrong)), authz.Malformed, "page.token", "next_token")
	}
}

// FuzzCursor checks that a text is either refused or the only one of its cursor.
func FuzzCursor(f *testing.F) {
	for _, c := range []search.Cursor{
		{}, {After: "p-1", Revision: authz.Revision{Count: 1 << 60, Nonce: "abcdefgh"}, Policy: "sha256:1", Question: "2"},
		{After: "é\xff\x00😀", Hidden: true},
	} {
		text, err := c.MarshalText()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("AgGAAAAAAA"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var c search.Cursor
		if err := c.UnmarshalText(text); err != nil {
			if c != (search.Cursor{}) || authz.KindOf(err) != authz.Malformed {
				t.Fatalf("%+v: %v", c, err)
			}
			return
		}
		again, err := c.MarshalText()
		if err != nil || !bytes.Equal(again, text) {
			t.Fatalf("%q came back as %q: %v", text, again, err)
		}
		if slices.ContainsFunc(again, func(b byte) bool { return b <= ' ' || b > '~' }) {
			t.Fatalf("%q is not for a line of text", again)
		}
	})
}
