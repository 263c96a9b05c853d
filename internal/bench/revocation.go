package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
)

// revocations takes Access away from a member, again and again, and watches how long
// a sidecar of another process goes on to allow what it opened, while that sidecar
// is asked other questions at half of the rate that it can answer.
func revocations(ctx context.Context, s *stage) *table {
	if s.revocations == 0 {
		return new(table)
	}
	const id = "revoked" // of everything that is about the revocations
	redis := s.startFilled(ctx, s.organisation,
		&authz.Fact{Key: authz.Key{Kind: authz.KindRole, ID: id}, Permissions: []string{"patient:view"}},
		&authz.Fact{Key: authz.Key{Kind: authz.KindPatientGroup, ID: id}},
		&authz.Fact{Key: authz.Key{Kind: authz.KindTeamMember, ID: id}, Role: id},
		&authz.Fact{Key: authz.Key{Kind: authz.KindPatient, ID: id}, PatientGroup: id})
	sidecar := s.startCaregate(ctx, redis, cacheDefault)
	load := s.newTarget(ctx, "Caregate", sidecar, pathSingle, s.questions)
	peak, _ := load.rate(ctx, s.connections, 3*s.turn)
	d := must(directory.Open(directory.Config{URL: redis.url(), FactsTimeout: factsTimeout}))
	defer func() { check(d.Close()) }()
	conns := must(dial(ctx, sidecar.addr, 1))
	defer conns.close()
	w := &revoker{directory: d, conn: conns[0], id: id, request: httpRequest(sidecar.addr, pathSingle, "", asking(id, "view", id))}

	var took time.Duration
	var answered, latencies spread
	during(ctx, func(ctx context.Context) (err error) {
		answered, err = load.paced(ctx, s.connections, peak/2, math.MaxInt64)
		return err
	}, func() {
		began := time.Now()
		for range s.revocations {
			latencies = append(latencies, w.revoke(ctx))
		}
		took = time.Since(began)
	})
	late, longest := latencies.late(), slices.Max(latencies)
	t := &table{
		title: fmt.Sprintf("Revocation: from the acknowledged change to the last allow of another sidecar, %s times, while it answers %s questions a second (half of %s)",
			number(float64(len(latencies))), number(float64(len(answered))/took.Seconds()), number(peak)),
		header: []string{"", "median", "99 in 100", "longest"},
		bounds: []bound{
			{"revocation, ms to the last allow elsewhere, 99 in 100", spread{late}, atMost, 20},
			{"revocation, ms to the last allow elsewhere, all", spread{longest}, atMost, float64(directory.DefaultMaxStaleness.Milliseconds())},
		},
	}
	t.row("ms after the acknowledgement, 0 for before it", latencies.median(), late, longest)
	return t
}

// allowed asks for a decision.
func (c *connection) allowed(request []byte) bool {
	return bytes.HasPrefix(must(c.ask(request)), []byte(`{"decision":true`))
}

// await asks for a decision until it is allow, or is not, and returns when it last was
// otherwise; the zero time if it never was.
func (c *connection) await(ctx context.Context, request []byte, allow bool) (last time.Time) {
	for deadline := time.Now().Add(time.Minute); c.allowed(request) != allow; {
		if last = time.Now(); last.After(deadline) {
			check(errors.New("the sidecar does not come to know of a change"))
		}
		check(ctx.Err())
	}
	return last
}

// revoker gives a member Access and takes it away, and asks a sidecar about it.
type revoker struct {
	directory *directory.Directory
	id        string // of the member and of the patient group
	conn      *connection
	request   []byte
}

func (w *revoker) commit(ctx context.Context, op admin.Op) error {
	_, err := w.directory.Commit(ctx, organisationName, admin.Change{
		Edits:  []admin.Edit{{Op: op, Relation: admin.Access, From: w.id, To: w.id}},
		Author: admin.Author{Via: "api"},
	})
	return err
}

// revoke gives Access, waits until the sidecar knows, takes it away, and returns the
// milliseconds from when that was acknowledged to the last allow; 0 if there was none
// after it.
func (w *revoker) revoke(ctx context.Context) float64 {
	check(w.commit(ctx, admin.Link))
	w.conn.await(ctx, w.request, true)
	var acknowledged time.Time
	committed := make(chan error, 1)
	go func() {
		err := w.commit(ctx, admin.Unlink)
		acknowledged = time.Now()
		committed <- err
	}()
	last := w.conn.await(ctx, w.request, false)
	check(<-committed)
	return max(0, float64(last.Sub(acknowledged).Microseconds())/1000)
}
