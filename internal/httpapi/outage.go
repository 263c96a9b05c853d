package httpapi

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// outagePause is how often an outage is logged while it lasts, and how long it
// must be over before that is said.
const outagePause = 10 * time.Second

// outageLog keeps a failing dependency from filling the log: the first 503 is
// logged with its cause, then one in every pause with how many there were, and
// the end once.
type outageLog struct {
	logger *slog.Logger
	down   atomic.Bool
	last   atomic.Int64 // the latest failure, Unix nanoseconds

	mu     sync.Mutex
	logged time.Time
	unsaid int // failures since the last line
}

// failed notes that an exchange could not be answered.
func (o *outageLog) failed(x *exchange, code string, err error) {
	now := time.Now()
	o.last.Store(now.UnixNano())
	o.down.Store(true)
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Sub(o.logged) < outagePause {
		o.unsaid++
		return
	}
	x.log(slog.LevelWarn, "no decision", slog.String("problem", code), slog.String("error", err.Error()),
		slog.Int("unlogged_before", o.unsaid))
	o.logged, o.unsaid = now, 0
}

// answered notes that one was. While nothing fails it costs one atomic load.
func (o *outageLog) answered() {
	if !o.down.Load() || time.Since(time.Unix(0, o.last.Load())) < outagePause {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down.CompareAndSwap(true, false) {
		o.logger.Info("decisions are made again", slog.Int("unlogged_before", o.unsaid))
		o.logged, o.unsaid = time.Time{}, 0
	}
}
