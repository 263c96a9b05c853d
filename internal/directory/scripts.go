package directory

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

// scripts are all that is asked of a server, but for the waiting of readStream.
type scripts struct {
	read, changes, histories, records, ranges, audits, auditChanges, nonces, entries, scan, master *redis.Script
}

// newScripts returns the scripts, each of which begins with first.
func newScripts(first string) scripts {
	script := func(text string) *redis.Script { return redis.NewScript(first + text) }
	return scripts{
		read:         script(textScript + readScript),
		changes:      script(textScript + changeScript + changeDeleteScript + changeWriteScript),
		histories:    script(historyScript),
		records:      script(textScript + recordsScript),
		ranges:       script(textScript + rangeScript),
		audits:       script(auditScript),
		auditChanges: script(auditChangesScript),
		nonces:       script(noncesScript),
		entries:      script(entriesScript),
		scan:         script(scanScript),
		master:       script("return 1"),
	}
}

// believe lets only a master answer that has so many replicas in good state. The
// store inside this process is the only one there is. Nobody may be reading.
func (d *Directory) believe(replicas int) {
	if d.read != nil && d.replicas == replicas {
		return
	}
	d.replicas = replicas
	first := ""
	if !d.server.within {
		first = fmt.Sprintf("local least_replicas = %d\n", replicas) + masterScript
	}
	d.scripts = newScripts(first)
}

// readStream waits for entries of a stream, which no script can do. The server is
// asked just before, on the same connection, whether it is a master, so that one
// which is not any more is left. What it says after that is for the caller to prove:
// entries name those before them, and silence says nothing.
func (d *Directory) readStream(ctx context.Context, client redis.UniversalClient, organisation string, args *redis.XReadArgs) ([]redis.XStream, error) {
	args.Streams = append([]string{streamKey(organisation)}, args.Streams...)
	pipe := client.Pipeline()
	master := d.master.EvalRO(ctx, pipe, []string{headKey(organisation)})
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
