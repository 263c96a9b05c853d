package authz

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// How long work rests, and waits for its turn.
const (
	paceWork    = 500 * time.Microsecond // it works so long at a time while decisions are made
	paceRest    = 4                      // and then rests for so many times as long
	paceLongest = 20 * time.Millisecond  // but for this at most
	paceQueue   = 8                      // so many wait for each that works
	pacePatient = 4                      // for this part of the time that they have
)

// Pace makes long work give way to decisions: little of it is done at a time, and it
// rests between its pieces while decisions are asked for. It is safe for concurrent use.
type Pace struct {
	places    chan struct{} // one taken for each that works
	waiting   atomic.Int64
	decisions atomic.Uint64 // that were asked for
}

// NewPace returns a pace for so much long work at a time; 0 means half of the processors,
// and one at least.
func NewPace(most int) *Pace {
	if most < 1 {
		most = max(1, runtime.GOMAXPROCS(0)/2)
	}
	return &Pace{places: make(chan struct{}, most)}
}

// Decision tells that a decision is asked for.
func (p *Pace) Decision() { p.decisions.Add(1) }

// paceKey is where a context has its Pace, or the longWork that keeps to one.
type paceKey struct{}

// WithPace returns a context whose long work keeps to a pace.
func WithPace(ctx context.Context, p *Pace) context.Context {
	return context.WithValue(ctx, paceKey{}, p)
}

// longWork is one piece of work that keeps to a pace. Only one goroutine does it.
type longWork struct {
	pace  *Pace
	since time.Time // when it began to work
	seen  uint64    // decisions until then
}

// LongWork waits until long work may be begun. It returns a context for it, of one
// goroutine, and a function that ends it, which must be called. Without a Pace in
// ctx there is nothing to wait for. When many wait already, or it takes too long, it is
// an error of kind TooMany, and nothing has been done.
func LongWork(ctx context.Context) (context.Context, func(), error) {
	p, ok := ctx.Value(paceKey{}).(*Pace)
	if !ok {
		return ctx, func() {}, nil
	}
	select {
	case p.places <- struct{}{}:
	default:
		if err := p.wait(ctx); err != nil {
			return ctx, nil, err
		}
	}
	w := &longWork{pace: p, since: time.Now(), seen: p.decisions.Load()}
	return context.WithValue(ctx, paceKey{}, w), func() { <-p.places }, nil
}

// wait waits for a place.
func (p *Pace) wait(ctx context.Context) error {
	defer p.waiting.Add(-1)
	busy := Errorf(TooMany, "",
		"%d explanations, reviews, previews or filtered lists are being worked out already, and others wait; wait as long as Retry-After says and ask again",
		cap(p.places))
	if p.waiting.Add(1) > int64(paceQueue*cap(p.places)) {
		return busy
	}
	patience := 2 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		patience = time.Until(deadline) / pacePatient
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case p.places <- struct{}{}:
		return nil
	case <-timer.C:
		return busy
	case <-ctx.Done():
		return &Error{Kind: Timeout, Message: "the time allowed ran out before it was begun", Err: ctx.Err()}
	}
}

// GiveWay is called between the pieces of long work. It rests while decisions are asked
// for, and returns when the work may go on or ctx is over.
func GiveWay(ctx context.Context) {
	w, ok := ctx.Value(paceKey{}).(*longWork)
	if !ok {
		return
	}
	worked := time.Since(w.since)
	if worked < paceWork {
		return
	}
	if w.pace.decisions.Load() != w.seen {
		rest := time.NewTimer(min(paceRest*worked, paceLongest))
		defer rest.Stop()
		select {
		case <-rest.C:
		case <-ctx.Done():
		}
	}
	w.since, w.seen = time.Now(), w.pace.decisions.Load()
}
