package directory

import (
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/redistest"
)

// What it costs that a change is still there after a server, or its machine, has died:
// one change after the other, with the master writing to its disk in each of its ways,
// and with a wait for one replica after each.
func BenchmarkDurable(b *testing.B) {
	start := func(arguments ...string) *redistest.Server {
		s, err := redistest.Start(b.TempDir(), append([]string{"--appendonly", "yes"}, arguments...)...)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(s.Kill)
		return s
	}
	waits := map[string][]any{"": nil, " and WAIT 1": {"WAIT", 1, 1000}, " and WAITAOF 1 1": {"WAITAOF", 1, 1, 1000}}
	for _, when := range []string{"no", "everysec", "always"} {
		master := start("--appendfsync", when)
		replica := start("--replicaof", "127.0.0.1 "+portOf(master), "--repl-diskless-sync-delay", "0")
		if err := redistest.Await(settleReplica, "the replica follows", replica.Follows); err != nil {
			b.Fatal(err)
		}
		d, err := Open(Config{URL: master.URL() + "?pool_size=1"}) // WAIT is for what its connection wrote
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { closed(b, d) })
		for what, wait := range waits {
			if when != "everysec" && wait != nil || len(wait) > 3 && d.writes.Do(b.Context(), wait...).Err() != nil {
				continue // Redis 7.0 has no WAITAOF
			}
			b.Run("appendfsync "+when+what, func(b *testing.B) {
				group := "g"
				for b.Loop() {
					group += "x"
					if len(group) > 200 {
						group = "g"
					}
					change := admin.Change{Edits: []admin.Edit{{Op: admin.Put, Record: &admin.Record{Kind: "patient_group", ID: "open", Name: group}}}}
					if _, err := d.Commit(b.Context(), exactOrganisation, change); err != nil {
						b.Fatal(err)
					}
					if wait != nil {
						if err := d.writes.Do(b.Context(), wait...).Err(); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}
