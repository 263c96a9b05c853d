package cache

import (
	"errors"
	"log/slog"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
)

// How the feed waits. A record of an import has a thousand entities, so a few are
// enough at once.
const (
	maxFeedWait  = time.Second
	feedCount    = 16
	feedPause    = 20 * time.Millisecond // after an error, and longer each time
	maxFeedPause = time.Second
)

// follow follows the organisation until the follower is stopped or the organisation
// is gone.
func (f *follower) follow() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.watch()
	}()
	defer func() { <-done }()
	defer f.stop()
	pause, failing := feedPause, false
	for f.ctx.Err() == nil {
		err := f.step()
		switch {
		case err == nil:
			if failing {
				f.cache.cfg.Logger.Info("the changes of an organisation can be followed again", slog.String("organisation", f.organisation))
			}
			pause, failing = feedPause, false
			continue
		case errors.Is(err, errGone):
			f.cache.forget(f)
			return
		case !failing && !errors.Is(err, errReset) && f.ctx.Err() == nil:
			failing = true
			f.cache.cfg.Logger.Warn("the changes of an organisation cannot be followed; once what is known of it is too old, its facts are read for every request",
				slog.String("organisation", f.organisation), slog.String("error", err.Error()))
		}
		select {
		case <-f.ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, maxFeedPause)
	}
}

// errGone says that the organisation does not exist.
var errGone = errors.New("the organisation does not exist")

// errReset says that a generation is over: it is not to go on and on at once.
var errReset = errors.New("the facts were dropped")

// step begins a generation if there is none, and otherwise takes what the feed has
// next.
func (f *follower) step() error {
	f.mu.RLock()
	generation, at := f.generation, f.at
	f.mu.RUnlock()
	if at.Count == 0 {
		return f.begin(generation)
	}
	changes, err := f.next(at)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if !f.apply(generation, c) {
			f.reset(generation, "the stream of changes does not follow what is known")
			return errReset
		}
	}
	return nil
}

// maxBegins is how often the head is looked at for a beginning, while this process
// commits one change after the other.
const maxBegins = 10

// begin takes the head as A.
func (f *follower) begin(generation uint64) error {
	for range maxBegins {
		f.mu.RLock()
		written := f.written
		f.mu.RUnlock()
		until := f.cache.believed(time.Now())
		h, err := f.cache.store.ReadHead(f.ctx, f.organisation)
		if err != nil {
			return err
		}
		if !h.Exists {
			return errGone
		}
		if f.beginAt(generation, h, until, written) {
			return nil
		}
	}
	return errReset
}

// beginAt takes a head as A that was asked for when this process had written so many
// changes. Those are in it or lost: what is asked of answers for their sake is given
// up if the head does not reach it. It reports false if the head has to be looked at
// again, because it cannot be told whether it includes a change that was acknowledged
// meanwhile.
func (f *follower) beginAt(generation uint64, h script.Head, until time.Time, written uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.generation != generation {
		return true
	}
	var later []ownChange
	floor := uint64(0)
	for _, own := range f.own {
		switch {
		case own.number <= written || own.revision == h.Revision:
			continue
		case own.revision.Count <= h.Revision.Count:
			return false
		}
		later = append(later, own)
		floor = max(floor, own.revision.Count)
	}
	// What was being read before A was known is not let in: what was changed between
	// the two cannot be told.
	f.generation = f.cache.generations.Add(1)
	f.at, f.lease = h.Revision, until
	f.loads, f.promises, f.history = loads{}, nil, history{}
	f.history.add(h.Revision)
	f.own = later
	if f.floor > h.Revision.Count {
		f.floor = floor
	}
	return true
}

// reset drops everything that a generation knows, once.
func (f *follower) reset(generation uint64, why string) {
	f.mu.Lock()
	if f.generation != generation {
		f.mu.Unlock()
		return
	}
	was := f.at
	f.generation = f.cache.generations.Add(1)
	f.at, f.lease = authz.Revision{}, time.Time{}
	f.history, f.promises, f.loads = history{}, nil, loads{}
	f.mu.Unlock()
	f.cache.counts.resets.Add(1)
	f.cache.feed.Renew() // some may lead to the server of one history, some to that of the other
	f.cache.cfg.Logger.Warn("facts dropped from the cache: "+why,
		slog.String("organisation", f.organisation), slog.Uint64("revision", was.Count))
	if err := f.begin(f.currentGeneration()); errors.Is(err, errGone) {
		f.cache.forget(f)
	}
	f.cache.purge()
}

// next waits for records that come after a revision. None within a moment is no
// error, and no proof of anything.
func (f *follower) next(after authz.Revision) ([]layout.Change, error) {
	wait := min(f.cache.cfg.MaxStaleness/2, maxFeedWait)
	changes, err := f.cache.feed.Next(f.ctx, f.organisation, after, f.records, wait)
	if err != nil {
		f.records = max(1, f.records/2)
		return nil, err
	}
	if len(changes) > 0 {
		f.records = min(2*f.records, feedCount)
	}
	return changes, nil
}
