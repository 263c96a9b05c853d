package nearest_test

import (
	"testing"

	"github.com/caregate/caregate/internal/nearest"
)

func TestTheNearestNameIsFound(t *testing.T) {
	known := []string{"patient.view", "patient.update", "access.view", "user", "users"}
	for word, want := range map[string]string{
		"patient.veiw": "patient.view", "Patient_View": "", "patient.updte": "patient.update", "usr": "user", "USER": "user",
		"access-view": "access.view", "completely different": "", "": "",
	} {
		if word == "Patient_View" { // one edit, and the case does not count
			want = "patient.view"
		}
		if got := nearest.To(word, known); got != want {
			t.Errorf("%q is near %q, want %q", word, got, want)
		}
	}
	if got := nearest.To("anything", nil); got != "" {
		t.Errorf("of no names %q is near", got)
	}
}
