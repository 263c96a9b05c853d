package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
)

// The bounds on the time from a revocation that was acknowledged to the last allow
// elsewhere, in milliseconds: of 99 in 100, and of all of them.
const boundRevocation = 20

// revocations takes Access away from a member, again and again, and watches how long
// a sidecar of another process goes on to allow what it opened, while that sidecar
// is asked other questions at half of the rate that it can answer.
func revocations(ctx context.Context, o *organisation, all []question, cfg config) (res *result, err error) {
	res = &result{}
	if cfg.revocations == 0 {
		return res, nil
	}
	folder, err := os.MkdirTemp("", "caregate-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	redis, err := startRedis(ctx, folder)
	if err != nil {
		return nil, err
	}
	defer redis.stop()
	if _, _, err := redis.fillAll(ctx, o); err != nil {
		return nil, err
	}
	sidecar, addr, err := startSelf(ctx, serveCaregate, redis.url(), "0")
	if err != nil {
		return nil, err
	}
	defer sidecar.stop()
	load := newTarget("Caregate", addr, pathSingle, sidecar, all, func(q question) []byte { return q.body })
	for range 2 {
		if err := load.learn(ctx); err != nil {
			return nil, err
		}
	}
	peak, err := load.run(ctx, cfg.connections, 3*cfg.turn)
	if err != nil {
		return nil, err
	}
	w, err := newRevoker(ctx, redis, addr)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.directory.Close()) }()

	loaded, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	var asked float64
	var loadErr error
	began := time.Now()
	background.Go(func() { asked, loadErr = load.pace(loaded, cfg.connections, peak.rate/2) })
	latencies := make(spread, cfg.revocations)
	for i := range latencies {
		if latencies[i], err = w.revoke(ctx); err != nil {
			err = fmt.Errorf("revocation %d: %w", i, err)
			break
		}
	}
	took := time.Since(began)
	stop()
	background.Wait()
	if err := errors.Join(err, loadErr); err != nil {
		return nil, errors.Join(err, sidecar.died())
	}
	slices.Sort(latencies)
	p99 := latencies[int(math.Ceil(0.99*float64(len(latencies))))-1]
	res.title = fmt.Sprintf("Revocation: from the acknowledged change to the last allow of another sidecar, %s times, while it answers %s questions a second (half of %s)",
		number(float64(len(latencies))), number(asked/took.Seconds()), number(peak.rate))
	res.header = []string{"", "median", "99 in 100", "longest"}
	res.rows = [][]string{{"ms after the acknowledgement, 0 for before it", number(latencies.median()), number(p99), number(latencies.max())}}
	res.check("revocation, ms to the last allow elsewhere, 99 in 100", spread{p99}, atMost, boundRevocation)
	res.check("revocation, ms to the last allow elsewhere, all", spread{latencies.max()}, atMost,
		float64(directory.DefaultMaxStaleness.Milliseconds()))
	return res, nil
}

// pace asks at a rate, on several connections, until ctx ends, and returns how often
// it was answered.
func (t *target) pace(ctx context.Context, connections int, rate float64) (answered float64, err error) {
	counts, errs := make([]int, connections), make([]error, connections)
	var group sync.WaitGroup
	for i := range connections {
		group.Go(func() {
			c, err := dial(ctx, t.addr)
			if err != nil {
				errs[i] = err
				return
			}
			defer func() { _ = c.conn.Close() }()
			each := time.Duration(float64(connections) / rate * float64(time.Second))
			began := time.Now()
			for ctx.Err() == nil {
				if early := time.Until(began.Add(time.Duration(counts[i]) * each)); early > 200*time.Microsecond {
					time.Sleep(early)
				}
				if _, errs[i] = c.ask(t.requests[(i*len(t.requests)/connections+counts[i])%len(t.requests)]); errs[i] != nil {
					return
				}
				counts[i]++
			}
		})
	}
	group.Wait()
	for _, n := range counts {
		answered += float64(n)
	}
	return answered, errors.Join(errs...)
}

// revoker gives a member Access and takes it away, and asks the sidecar.
type revoker struct {
	directory *directory.Directory
	conn      *connection
	request   []byte
}

func newRevoker(ctx context.Context, redis *redisServer, addr string) (*revoker, error) {
	d, err := directory.Open(directory.Config{URL: redis.url(), FactsTimeout: factsTimeout})
	if err != nil {
		return nil, err
	}
	w := &revoker{directory: d}
	err = w.commit(ctx,
		admin.Edit{Op: admin.Put, Record: &admin.Record{Kind: authz.KindRole, ID: "revoked", Permissions: []string{"patient:view"}}},
		admin.Edit{Op: admin.Put, Record: &admin.Record{Kind: authz.KindPatientGroup, ID: "revoked"}},
		admin.Edit{Op: admin.Put, Record: &admin.Record{Kind: authz.KindTeamMember, ID: "revoked", Role: "revoked"}},
		admin.Edit{Op: admin.Put, Record: &admin.Record{Kind: authz.KindPatient, ID: "revoked", PatientGroup: "revoked"}})
	if err == nil {
		w.conn, err = dial(ctx, addr)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	body, err := encode(&authz.Request{
		Subject: authz.Entity{Type: "team_member", ID: "revoked"}, Action: authz.Action{Name: "view"},
		Resource: authz.Entity{Type: "patient", ID: "revoked"},
	})
	t := target{addr: addr}
	t.add(pathSingle, body)
	w.request = t.requests[0]
	return w, err
}

func (w *revoker) commit(ctx context.Context, edits ...admin.Edit) error {
	_, err := w.directory.Commit(ctx, organisationName, admin.Change{Edits: edits, Author: admin.Author{Via: "api"}})
	return err
}

// allowed asks the sidecar.
func (w *revoker) allowed() (bool, error) {
	body, err := w.conn.ask(w.request)
	return bytes.HasPrefix(body, []byte(`{"decision":true`)), err
}

// revoke gives Access, waits until the sidecar knows, takes it away, and returns the
// milliseconds from when that was acknowledged to the last allow; 0 if there was none
// after it.
func (w *revoker) revoke(ctx context.Context) (float64, error) {
	access := admin.Edit{Op: admin.Link, Relation: admin.Access, From: "revoked", To: "revoked"}
	if err := w.commit(ctx, access); err != nil {
		return 0, err
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		allow, err := w.allowed()
		if err != nil {
			return 0, err
		}
		if allow {
			break
		}
		if time.Now().After(deadline) {
			return 0, errors.New("the sidecar does not come to know of a change")
		}
	}
	acknowledged := make(chan time.Time, 1)
	var err error
	go func() {
		access.Op = admin.Unlink
		err = w.commit(ctx, access)
		acknowledged <- time.Now()
	}()
	var last time.Time
	for {
		allow, askErr := w.allowed()
		if askErr != nil {
			<-acknowledged
			return 0, askErr
		}
		if !allow {
			break
		}
		last = time.Now()
		if ctx.Err() != nil {
			<-acknowledged
			return 0, ctx.Err()
		}
	}
	at := <-acknowledged
	if err != nil {
		return 0, err
	}
	return max(0, float64(last.Sub(at).Microseconds())/1000), nil
}
