package directory

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
)

// BenchmarkRead reads what one decision needs, and what batches need.
func BenchmarkRead(b *testing.B) {
	server := openStore(b, startRedis(b))
	d, err := OpenEmbedded(Config{FactsTimeout: 10 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	defer closed(b, d)
	embedded := &store{Directory: d, raw: d.bulk, org: server.org}
	for name, s := range map[string]*store{"redis": server, "embedded": embedded} {
		s.load(b, bulky(5000)...)
		b.Run(name+"/ping", func(b *testing.B) { // what a round trip costs
			for b.Loop() {
				if err := s.Ready(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, n := range []int{1, 100, 2500} {
			keys := make([]authz.Key, 0, 2*n)
			for i := range n {
				keys = append(keys, member("m-"+strconv.Itoa(i)), patient("p-"+strconv.Itoa(i)))
			}
			b.Run(fmt.Sprintf("%s/keys=%d", name, 2*n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.Read(b.Context(), s.org, keys, authz.Freshness{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkReadParallel reads from as many goroutines as there are CPUs.
func BenchmarkReadParallel(b *testing.B) {
	s := openStore(b, startRedis(b))
	s.load(b, clinic()...)
	keys := []authz.Key{member("mark"), patient("p-1")}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Read(b.Context(), s.org, keys, authz.Freshness{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkImport imports 10,003 records in turns with the same ones changed.
func BenchmarkImport(b *testing.B) {
	s := openStore(b, startRedis(b))
	texts := []string{strings.Join(bulky(5000), "\n"), ""}
	texts[1] = regexp.MustCompile(`"care_team":\["m-\d+"\]`).ReplaceAllString(texts[0], `"care_team":["m-0"]`)
	texts[1] = strings.ReplaceAll(texts[1], `"access":["pg"]`, `"name":"x"`)
	turn := 0
	for b.Loop() {
		if _, err := s.Import(b.Context(), s.org, strings.NewReader(texts[turn%2]), ImportOptions{}); err != nil {
			b.Fatal(err)
		}
		turn++
	}
	b.ReportMetric(float64(10_003*turn)/b.Elapsed().Seconds(), "records/s")
}
