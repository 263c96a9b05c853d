package directory

import (
	"context"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// meter sees what each script of a directory does to a server that nobody else asks.
type meter struct {
	raw     *redis.Client
	scripts []metered
}

// metered is what one script did.
type metered struct {
	took     time.Duration // of the server's time, whoever else has the machine
	commands int
}

// metered puts a meter on the clients of a store.
func (s *store) metered(t testing.TB) *meter {
	t.Helper()
	options, err := redis.ParseURL("redis://" + s.server.Single.Addr)
	if err != nil {
		t.Fatal(err)
	}
	m := &meter{raw: redis.NewClient(options)}
	t.Cleanup(func() { _ = m.raw.Close() })
	for _, client := range []redis.UniversalClient{s.Directory.facts, s.bulk, s.administers, s.writes} {
		client.AddHook(m)
	}
	return m
}

// during returns what the scripts did that a question takes.
func (m *meter) during(t testing.TB, ask func() error) []metered {
	t.Helper()
	m.scripts = nil
	m.raw.ConfigResetStat(t.Context())
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	return m.scripts
}

func (m *meter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return next(ctx, network, address)
	}
}

func (m *meter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

var commandStat = regexp.MustCompile(`cmdstat_(\S+):calls=(\d+),usec=(\d+)`)

func (m *meter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		err := next(ctx, command)
		if !strings.HasPrefix(command.Name(), "eval") {
			return err
		}
		var did metered
		for _, stat := range commandStat.FindAllStringSubmatch(m.raw.Info(ctx, "commandstats").Val(), -1) {
			calls, _ := strconv.Atoi(stat[2])
			switch name := stat[1]; {
			case strings.HasPrefix(name, "eval"):
				microseconds, _ := strconv.Atoi(stat[3])
				did.took += time.Duration(microseconds) * time.Microsecond
			case name != "config|resetstat" && name != "info":
				did.commands += calls
			}
		}
		m.scripts = append(m.scripts, did)
		m.raw.ConfigResetStat(ctx)
		return err
	}
}

// BenchmarkScripts asks each question at its largest and reports how many scripts it
// takes and how long Redis is busy with the longest of them. Each is looked at in every
// turn and counts with its shortest time, for the machine has other work.
func BenchmarkScripts(b *testing.B) {
	s := openStore(b, startRedis(b))
	large := loadLarge(b, s)
	m := s.metered(b)
	for _, c := range large.cases(b, s) {
		b.Run(c.name, func(b *testing.B) {
			var scripts []metered
			for b.Loop() {
				for i, did := range m.during(b, c.ask) {
					if i == len(scripts) {
						scripts = append(scripts, did)
					}
					scripts[i].took = min(scripts[i].took, did.took)
				}
			}
			longest := slices.MaxFunc(scripts, func(a, b metered) int { return int(a.took - b.took) })
			most := slices.MaxFunc(scripts, func(a, b metered) int { return a.commands - b.commands })
			b.ReportMetric(longest.took.Seconds()*1000, "ms-longest")
			b.ReportMetric(float64(most.commands), "commands")
			b.ReportMetric(float64(len(scripts)), "scripts")
		})
	}
}
