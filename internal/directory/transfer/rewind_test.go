package transfer

import (
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
)

// An export does not keep more of what changes than it says.
func TestExportForgetsWhatItHasWritten(t *testing.T) {
	past := newRewind(nil, "")
	past.start = authz.Revision{Count: 1, Nonce: "n"}
	key := func(id string) authz.Key { return authz.Key{Kind: authz.KindPatient, ID: id} }
	hash := func(group string) any { return script.HashText("patient_group", group, "rev", "1.n") }
	past.remember(layout.Image{Key: key("a"), Existed: true, Before: []string{"patient_group", "x"}})                                                      // deleted
	past.remember(layout.Image{Key: key("b"), Exists: true, After: []string{"patient_group", "x"}})                                                        // created
	past.remember(layout.Image{Key: key("c"), Existed: true, Exists: true, Before: []string{"patient_group", "x"}, After: []string{"patient_group", "y"}}) // moved
	past.remember(layout.Image{Key: key("c"), Existed: true, Exists: true, Before: []string{"patient_group", "y"}, After: []string{"patient_group", "z"}})
	past.remember(layout.Image{Key: key("d"), Existed: true, Before: []string{"patient_group", "x"}}) // of the next page
	past.remember(layout.Image{Key: authz.Key{Kind: authz.KindBooking, ID: "a"}, Existed: true, Before: []string{"state", "booked"}})
	got := past.restore(authz.KindPatient, layout.Page{More: true, Items: []layout.Item{{ID: "b", Hash: hash("x")}, {ID: "c", Hash: hash("z")}}})
	if len(got) != 2 || got[0].ID != "a" || got[1].ID != "c" {
		t.Fatalf("restored %+v", got)
	}
	for _, it := range got {
		if e, err := layout.EntityOf(authz.KindPatient, it.Hash); err != nil || e.Record.PatientGroup != "x" {
			t.Errorf("%s is restored as %+v, %v", it.ID, e, err)
		}
	}
	past.remember(layout.Image{Key: key("c"), Existed: true, Before: []string{"patient_group", "z"}})
	if len(past.states) != 2 || len(past.gone) != 2 || past.size < stateOverhead || past.size > 4*stateOverhead {
		t.Errorf("%d states and %d gone are kept, %d bytes", len(past.states), len(past.gone), past.size)
	}
	if got = past.restore(authz.KindPatient, layout.Page{}); len(got) != 1 || got[0].ID != "d" {
		t.Errorf("restored %+v", got)
	}
	past.restore(authz.KindBooking, layout.Page{})
	if len(past.states) != 0 || len(past.gone) != 0 || past.size != 0 {
		t.Errorf("%d states and %d gone are kept, %d bytes", len(past.states), len(past.gone), past.size)
	}
}
