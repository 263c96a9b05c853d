package directory

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
)

// What the design documents is exported as it was written.
func TestExportIsWhatWasImported(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		text, err := os.ReadFile("testdata/format.jsonl")
		if err != nil {
			t.Fatal(err)
		}
		s.load(t, strings.Split(strings.TrimSpace(string(text)), "\n")...)
		got := s.export(t)
		want := strings.Replace(string(text), `["patient:view","patient:create","patient:update"]`, `["patient:create","patient:update","patient:view"]`, 1)
		if got != want {
			t.Errorf("got\n%s\nexpected\n%s", got, want)
		}
	})
}

func TestExportPages(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		lines := bulky(1200)
		// Ids that a range of ids could take for its own signs, at every place.
		for _, id := range []string{"+", "-", "(", "[", "\u00a0"} {
			lines = append(lines, `{"kind":"patient","id":"`+id+`","patient_group":"pg"}`)
		}
		s.load(t, lines...)
		var ids []string
		for line := range strings.Lines(s.export(t)) {
			if _, rest, ok := strings.Cut(line, `{"kind":"patient","id":"`); ok {
				id, _, _ := strings.Cut(rest, `"`)
				ids = append(ids, id)
			}
		}
		if len(ids) != 1205 || !slices.IsSorted(ids) {
			t.Errorf("%d patients, sorted: %v", len(ids), slices.IsSorted(ids))
		}
		roundTrip(t, s)
		for _, id := range []string{"+", "-", "(", "["} { // each as the last of a page
			revision, page, err := s.page(t.Context(), s.org, authz.KindPatient, id)
			if err != nil || revision.Count == 0 || len(page) == 0 || page[0].ID <= id {
				t.Errorf("after %q: %d records, %v", id, len(page), err)
			}
		}
	})
}

func TestExportUnknownOrganisation(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		for _, org := range []string{"elsewhere", "", "a\nb"} {
			if _, err := s.Export(t.Context(), org, io.Discard); authz.KindOf(err) != authz.NotFound {
				t.Errorf("%q: %v", org, err)
			}
		}
	})
}

// changing imports a record when the first bytes are written.
type changing struct {
	s    *store
	t    *testing.T
	done bool
}

func (c *changing) Write(b []byte) (int, error) {
	if !c.done {
		c.done = true
		c.s.load(c.t, `{"kind":"role","id":"new","permissions":[]}`)
	}
	return len(b), nil
}

func TestExportWhileFactsChange(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, bulky(1200)...)
		_, err := s.Export(t.Context(), s.org, &changing{s: s, t: t})
		if authz.KindOf(err) != authz.Conflict || !strings.Contains(err.Error(), "try again") {
			t.Errorf("the error is %v", err)
		}
	})
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestExportToBrokenWriter(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		if _, err := s.Export(t.Context(), s.org, broken{}); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("the error is %v", err)
		}
	})
}
