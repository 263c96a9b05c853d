package policy

import (
	"context"
	"sync/atomic"

	"github.com/caregate/caregate/internal/authz"
)

// recollection answers what was asked before of the very same facts, and remembers what
// the next decider answers. Config.MemoBytes turns it off.
type recollection struct {
	memo     *memo
	answered *atomic.Uint64
	next     decider
}

func (r *recollection) decide(ctx context.Context, a *asked) (authz.Decision, error) {
	key, ok := r.memo.key(a)
	defer r.memo.keys.Put(key)
	if !ok {
		return r.next.decide(ctx, a)
	}
	a.key = key
	if d, ok := r.memo.get(key); ok {
		r.answered.Add(1)
		return d, nil
	}
	d, err := r.next.decide(ctx, a)
	if err == nil {
		r.memo.put(key, d)
	}
	return d, err
}
