package directory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/cache"
	"github.com/caregate/caregate/internal/directory/transfer"
)

// verdict compares every answer with the model at its revision and returns what is
// wrong.
func (x *trial) verdict() []string {
	x.t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	checked := map[authz.Revision]bool{}
	wrong := x.wrong
	for _, a := range x.answers[authz.Revision{}] { // no organisation
		if a.allow || a.atLeast.Count > 0 {
			wrong = append(wrong, "an answer without an organisation: "+inWords(a.request))
		}
	}
	checked[authz.Revision{}] = true
	var model *modelClinic
	for _, chain := range x.chains {
		model = newClinic()
		nonces := map[uint64]string{}
		for i, event := range chain {
			nonces[event.Revision.Count] = event.Revision.Nonce
			if want := uint64(i + 1); event.Revision.Count != want {
				x.t.Fatalf("revision %s stands where number %d has to", event.Revision, want)
			}
			edits, known := x.tried[event.Author.Request]
			if !known {
				x.t.Fatalf("nobody tried the change of revision %s", event.Revision)
			}
			for _, e := range edits {
				model.apply(e)
			}
			if checked[event.Revision] {
				continue
			}
			checked[event.Revision] = true
			for _, a := range x.answers[event.Revision] {
				if a.atLeast.Count > 0 && nonces[a.atLeast.Count] != a.atLeast.Nonce {
					wrong = append(wrong, fmt.Sprintf("at revision %s, which does not include %s", event.Revision, a.atLeast))
				}
				if want := model.allows(a.request); want != a.allow {
					wrong = append(wrong, fmt.Sprintf("at revision %s: %s: answered %t, the rules say %t", event.Revision, inWords(a.request), a.allow, want))
				}
			}
		}
	}
	for revision, answers := range x.answers {
		if !checked[revision] {
			wrong = append(wrong, fmt.Sprintf("%d answers state revision %s, which there never was", len(answers), revision))
		}
	}
	if got := x.exported(); !reflect.DeepEqual(got, model) {
		wrong = append(wrong, fmt.Sprintf("the model does not hold what the directory holds:\n%+v\n%+v", model, got))
	}
	return wrong
}

// exported reads what the directory holds into a model.
func (x *trial) exported() *modelClinic {
	x.t.Helper()
	var b bytes.Buffer
	if _, err := x.direct.Export(x.t.Context(), exactOrganisation, &b); err != nil {
		x.t.Fatal(err)
	}
	c := newClinic()
	reader := transfer.NewRecordReader(&b)
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return c
		}
		if err != nil {
			x.t.Fatal(err)
		}
		if record.Kind != authz.KindBooking {
			c.put(record)
			continue
		}
		c.bookings[record.ID] = record
		if record.State != admin.Released {
			c.source(record.Patient, record.Provider, "booking:"+record.ID, true)
		}
	}
}

// pass fails the test if anything is wrong.
func (x *trial) pass() {
	x.t.Helper()
	wrong := x.verdict()
	for _, w := range wrong[:min(len(wrong), 10)] {
		x.t.Error(w)
	}
	if len(wrong) > 10 {
		x.t.Errorf("and %d more", len(wrong)-10)
	}
	var stats cache.Stats
	for _, s := range x.sidecars {
		one := s.cache.Stats()
		stats.Hits, stats.Misses, stats.Repeated, stats.Resets = stats.Hits+one.Hits, stats.Misses+one.Misses, stats.Repeated+one.Repeated, stats.Resets+one.Resets
	}
	x.t.Logf("%d decisions checked, %d questions without an answer, from memory %d, from Redis %d (%d of them twice), %d resets",
		x.asked.Load(), x.unanswered.Load(), stats.Hits, stats.Misses, stats.Repeated, stats.Resets)
	if stats.Hits < stats.Misses/4 {
		x.t.Error("hardly anything was answered from memory: the test shows little")
	}
}
