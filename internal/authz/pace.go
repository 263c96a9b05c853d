package authz

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// How long work rests, and waits for its turn.
const (
	paceWork    = 250 * time.Microsecond // it works so long at a time while decisions are made
	paceRest    = 9                      // and then rests for so many times as long, less when its time runs out
	paceLongest = 500 * time.Millisecond // but for this at most
	paceMemory  = 100 * time.Millisecond // decisions are made for so long after one was asked for
	paceQueue   = 8                      // so many wait for each that works of administrators,
	paceShort   = 64                     // and so many of those whose work is mostly short
	pacePatient = 4                      // for this part of the time that they have
)

// Pace makes long work give way to decisions: little of it is done at a time, and it
// rests between its pieces while decisions are asked for. It is safe for concurrent use.
type Pace struct {
	began    time.Time    // a moment before, so that no decision is asked for at 0
	long     places       // of administrators' work
	personal places       // of what people and services ask about a decision of their own
	decided  atomic.Int64 // when a decision was asked for last, in ns since began; 0 for never
}

// places bounds work of one kind.
type places struct {
	taken   chan struct{} // one for each that works
	most    int64         // of those that wait
	waiting atomic.Int64
	busy    string // the error when there is no place, with how many there are
}

// NewPace returns a pace for so much long work at a time; 0 means half of the processors,
// and one at least.
func NewPace(most int) *Pace {
	if most < 1 {
		most = max(1, runtime.GOMAXPROCS(0)/2)
	}
	return &Pace{
		began: time.Now().Add(-1),
		long: places{
			taken: make(chan struct{}, most), most: int64(paceQueue * most),
			busy: "%d explanations, reviews, previews or filtered lists are being worked out already, and others wait",
		},
		personal: places{
			taken: make(chan struct{}, most), most: int64(paceShort * most),
			busy: "%d explanations are being worked out already, and others wait",
		},
	}
}

// Decision tells that a decision was asked for at a time.
func (p *Pace) Decision(at time.Time) { p.decided.Store(int64(at.Sub(p.began))) }

// decides says whether decisions are being made.
func (p *Pace) decides(now time.Time) bool {
	decided := p.decided.Load()
	return decided != 0 && now.Sub(p.began)-time.Duration(decided) < paceMemory
}

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
	// When it was begun, and when it has to end; zero without a deadline.
	began, deadline time.Time
}

// LongWork waits until administrators' work may be begun. It returns a context for it, of
// one goroutine, and a function that ends it, which must be called. Without a Pace in
// ctx there is nothing to wait for. When many wait already, or it takes too long, it is
// an error of kind TooMany, and nothing has been done.
func LongWork(ctx context.Context) (context.Context, func(), error) {
	return begin(ctx, func(p *Pace) *places { return &p.long })
}

// PersonalWork is LongWork for what people ask about themselves, and services for them: it
// waits for no administrator, and gives way to decisions likewise.
func PersonalWork(ctx context.Context) (context.Context, func(), error) {
	return begin(ctx, func(p *Pace) *places { return &p.personal })
}

func begin(ctx context.Context, of func(*Pace) *places) (context.Context, func(), error) {
	p, ok := ctx.Value(paceKey{}).(*Pace)
	if !ok { // there is none, or the work has its place
		return ctx, func() {}, nil
	}
	all := of(p)
	select {
	case all.taken <- struct{}{}:
	default:
		if err := all.wait(ctx); err != nil {
			return ctx, nil, err
		}
	}
	w := &longWork{pace: p, began: time.Now()}
	w.since = w.began
	w.deadline, _ = ctx.Deadline()
	return context.WithValue(ctx, paceKey{}, w), func() { <-all.taken }, nil
}

// wait waits for a place.
func (p *places) wait(ctx context.Context) error {
	defer p.waiting.Add(-1)
	busy := Errorf(TooMany, "", p.busy+"; wait as long as Retry-After says and ask again", cap(p.taken))
	if p.waiting.Add(1) > p.most {
		return busy
	}
	patience := 2 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		patience = time.Until(deadline) / pacePatient
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case p.taken <- struct{}{}:
		return nil
	case <-timer.C:
		return busy
	case <-ctx.Done():
		return &Error{Kind: Timeout, Message: "the time allowed ran out before it was begun", Err: ctx.Err()}
	}
}

// IsLongWork says whether ctx is that of LongWork, so that GiveWay may rest.
func IsLongWork(ctx context.Context) bool {
	_, ok := ctx.Value(paceKey{}).(*longWork)
	return ok
}

// rest is how many times as long as it worked work rests: the less, the nearer its end is, so
// that it gets more done than if it rested as much all the time.
func (w *longWork) rest(now time.Time) float64 {
	if w.deadline.IsZero() {
		return paceRest
	}
	left, all := w.deadline.Sub(now), w.deadline.Sub(w.began)
	if all <= 0 {
		return 0
	}
	return max(0, paceRest*float64(left)/float64(all))
}

// endBefore lets the long work of ctx rest as if it had to end at a time, until restore is
// called; the zero time is never.
func endBefore(ctx context.Context, at time.Time) (restore func()) {
	w, ok := ctx.Value(paceKey{}).(*longWork)
	if !ok || at.IsZero() || !w.deadline.IsZero() && w.deadline.Before(at) {
		return func() {}
	}
	began, deadline := w.began, w.deadline
	w.began, w.deadline = time.Now(), at
	return func() { w.began, w.deadline = began, deadline }
}

// GiveWay is called between the pieces of long work. It rests while decisions are asked
// for, and returns when the work may go on or ctx is over.
func GiveWay(ctx context.Context) {
	w, ok := ctx.Value(paceKey{}).(*longWork)
	if !ok {
		return
	}
	now := time.Now()
	worked := now.Sub(w.since)
	if worked < paceWork {
		return
	}
	if w.pace.decides(now) {
		rest := time.NewTimer(min(time.Duration(w.rest(now)*float64(worked)), paceLongest))
		defer rest.Stop()
		select {
		case <-rest.C:
		case <-ctx.Done():
		}
	}
	w.since = time.Now()
}
