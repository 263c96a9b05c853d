package script

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// The texts of the scripts. Each takes the key of the head as its only key and finds
// the prefix of all others in it. masterScript is what all of them begin with in a
// real Redis, textScript what some begin with.
var (
	//go:embed master.lua
	masterScript string
	//go:embed text.lua
	textScript string
	//go:embed read.lua
	readScript string
	//go:embed change.lua
	changeScript string
	//go:embed changedelete.lua
	changeDeleteScript string
	//go:embed changewrite.lua
	changeWriteScript string
	//go:embed history.lua
	historyScript string
	//go:embed records.lua
	recordsScript string
	//go:embed range.lua
	rangeScript string
	//go:embed audit.lua
	auditScript string
	//go:embed auditchanges.lua
	auditChangesScript string
	//go:embed nonces.lua
	noncesScript string
	//go:embed entries.lua
	entriesScript string
	//go:embed scan.lua
	scanScript string
)

// Set are all that is asked of a server, but for the waiting of readStream.
type Set struct {
	Read, Commit, History, Records, Range, Audit, AuditChanges, Nonces, Entries, Scan, master *redis.Script
}

// NewSet returns the scripts that let only a master answer which has so many replicas in good
// state. A store within this process is the only one there is, and is believed.
func NewSet(within bool, replicas int) Set {
	first := ""
	if !within {
		first = fmt.Sprintf("local least_replicas = %d\n", replicas) + masterScript
	}
	table := tables()
	script := func(text string) *redis.Script { return redis.NewScript(first + text) }
	return Set{
		Read:         script(textScript + readScript),
		Commit:       script(table + textScript + changeScript + changeDeleteScript + changeWriteScript),
		History:      script(historyScript),
		Records:      script(textScript + recordsScript),
		Range:        script(textScript + rangeScript),
		Audit:        script(table + auditScript),
		AuditChanges: script(auditChangesScript),
		Nonces:       script(noncesScript),
		Entries:      script(entriesScript),
		Scan:         script(scanScript),
		master:       script("return 1"),
	}
}

// ReadStream waits for entries of a stream, which no script can do. The server is
// asked just before, on the same connection, whether it is a master, so that one
// which is not any more is left. What it says after that is for the caller to prove:
// entries name those before them, and silence says nothing.
func (s *Set) ReadStream(
	ctx context.Context, client redis.UniversalClient, organisation string, args *redis.XReadArgs,
) ([]redis.XStream, error) {
	args.Streams = append([]string{StreamKey(organisation)}, args.Streams...)
	pipe := client.Pipeline()
	master := s.master.EvalRO(ctx, pipe, []string{HeadKey(organisation)})
	read := pipe.XRead(ctx, args)
	_, err := pipe.Exec(ctx)
	if master.Err() != nil {
		return nil, master.Err()
	}
	if read.Err() != nil {
		return nil, read.Err()
	}
	if err != nil {
		return nil, err
	}
	return read.Val(), nil
}
