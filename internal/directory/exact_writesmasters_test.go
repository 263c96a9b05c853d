package directory

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
)

// aside changes something at the server that is meant, past every sidecar.
func (l *ledger) aside(r *rand.Rand) {
	l.gate.RLock()
	defer l.gate.RUnlock()
	edits := []admin.Edit{ledgerEdit(r)}
	id, a := l.begin(&attempted{what: describe(admin.Change{Edits: edits}), asked: asEdits(edits)})
	a.done, a.err = l.direct.Commit(l.t.Context(), exactOrganisation, admin.Change{Edits: edits, Author: admin.Author{Request: id}})
	l.mu.Lock()
	a.ended = true
	l.mu.Unlock()
	if a.err == nil {
		l.stated(a.what, a.since, a.done.Revision, true, nil)
	}
}

// Nothing is acknowledged, as a change or as none, by a replica that the address of the
// sidecars leads to and that hears nothing of what is changed meanwhile; nor is anything
// read there.
func TestEveryWriteIsExactWhateverIsBehindTheAddress(t *testing.T) {
	p := newPair(t, nil)
	p.do(p.meant.Load(), "FLUSHALL")
	l := newLedger(p.trial, nil)
	l.found()
	r := rand.New(rand.NewPCG(1, 12))
	l.work("a replica that is cut off", 6, exactWrites(t)/10, repeat(300*time.Millisecond, func(ctx context.Context) {
		p.gate.Lock()
		p.copied()
		p.gate.Unlock()
		p.at.Store(p.other)
		for _, s := range p.sidecars {
			s.proxy.Cut()
		}
		for end := time.Now().Add(exactStaleness); ctx.Err() == nil && time.Now().Before(end); sleep(ctx, 10*time.Millisecond) {
			l.aside(r)
		}
		p.at.Store(p.meant.Load())
	}))
	wrong := l.verdictOfWrites()
	for _, w := range wrong[:min(len(wrong), 10)] {
		t.Error(w)
	}
}
