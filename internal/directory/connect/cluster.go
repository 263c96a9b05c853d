package connect

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// clusterHook is what a client of a cluster does otherwise than go-redis, at each
// node.
//
// It does not follow an ASK, which is where a node sends it that is handing a slot
// over, for keys that it no longer has. A script that runs at the other node on
// such a visit takes every key that is still to come for one that does not exist:
// it would deny what is granted, find free what is taken, and write a second half
// beside the first one. A script that comes without ASKING is refused by that node,
// and one that runs at the node which hands the slot over is ended by the first
// command on a key that is not there, be it gone or new. So while a slot is moved
// there are right answers and errors. For writing this takes care: see the end of
// changewrite.lua.
//
// It looks for the servers anew when one of them cannot be reached or says that the
// cluster is down to it. go-redis does so once a minute, which is how long a slot
// would stay without an answer after its master has died.
type clusterHook struct {
	reload func(context.Context) // at once, and not more often than makes sense
}

// errMoving says why a command was not sent to the node that an ASK named.
var errMoving = errors.New("the slot of this organisation is being moved to another node of the cluster")

// DialHook implements redis.Hook.
func (h *clusterHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (h *clusterHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		err := next(ctx, command)
		h.look(ctx, err)
		return err
	}
}

// ProcessPipelineHook implements redis.Hook. go-redis sends an ASKING and what it
// is for as one pipeline.
func (h *clusterHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if slices.ContainsFunc(commands, func(c redis.Cmder) bool { return c.Name() == "asking" }) {
			for _, c := range commands {
				c.SetErr(errMoving)
			}
			return errMoving
		}
		err := next(ctx, commands)
		h.look(ctx, err)
		return err
	}
}

// look looks for the servers anew after an error that another one might not have
// made.
func (h *clusterHook) look(ctx context.Context, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	if said, ok := errors.AsType[redis.Error](err); ok && !strings.HasPrefix(said.Error(), "CLUSTERDOWN") {
		return // it answers; go-redis sees to MOVED
	}
	h.reload(ctx)
}
