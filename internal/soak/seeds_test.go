package soak_test

import (
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/soak"
)

func TestSeeds(t *testing.T) {
	if got := slices.Collect(soak.Seeds(t, 3)); !slices.Equal(got, []uint64{0, 1, 2}) {
		t.Errorf("the seeds are %v", got)
	}
	t.Setenv("CAREGATE_TEST_SEED", "17")
	if got := slices.Collect(soak.Seeds(t, 3)); !slices.Equal(got, []uint64{17}) || !soak.Repeats() {
		t.Errorf("the seeds are %v, and only 17 is asked for", got)
	}
	t.Run("a part (b)", func(t *testing.T) {
		const want = `CAREGATE_TEST_SEED=5 go test ./internal/soak -count=1 -run '^TestSeeds$/^a_part_\(b\)$'`
		if got := soak.Command(t.Name(), 5); got != want {
			t.Errorf("the command is %s", got)
		}
	})
}
