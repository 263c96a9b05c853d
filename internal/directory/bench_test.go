package directory

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
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
				if err := s.Ready(b.Context(), s.org); err != nil {
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

// BenchmarkRange reads pages of the patients of one, six and thousands of groups, of
// 200,000 in all.
func BenchmarkRange(b *testing.B) {
	s := openStore(b, startRedis(b))
	const patients, groups = 200_000, 10_000
	lines := make([]string, 0, groups+8+patients)
	for i := range groups {
		lines = append(lines, fmt.Sprintf(`{"kind":"patient_group","id":"small-%d"}`, i))
	}
	for i := range 8 {
		lines = append(lines, fmt.Sprintf(`{"kind":"patient_group","id":"pg-%d"}`, i))
	}
	for i := range patients { // half of them in large groups
		group := fmt.Sprintf("pg-%d", i/2%8)
		if i%2 == 1 {
			group = fmt.Sprintf("small-%d", i%groups)
		}
		lines = append(lines, fmt.Sprintf(`{"kind":"patient","id":"p-%06d","patient_group":"%s"}`, i, group))
	}
	s.load(b, lines...)
	for _, n := range []int{1, 6, 5000, 10_000} {
		indexes := make([]search.Index, n)
		for i := range indexes {
			indexes[i] = search.Index{Relation: admin.PatientGroupOf, To: fmt.Sprintf("pg-%d", i)}
			if i >= 6 {
				indexes[i].To = fmt.Sprintf("small-%d", i)
			}
		}
		for page, after := range map[string]string{"first": "", "late": "p-150000"} {
			for _, limit := range []int{100, 1000} {
				for _, facts := range []bool{false, true} {
					r := search.Range{Kind: authz.KindPatient, Indexes: indexes, After: after, Limit: limit, Facts: facts}
					b.Run(fmt.Sprintf("indexes=%d/page=%s/limit=%d/facts=%v", n, page, limit, facts), func(b *testing.B) {
						b.ReportAllocs()
						for b.Loop() {
							found, err := s.Range(b.Context(), s.org, r, authz.Freshness{})
							if err != nil || len(found.IDs) != limit {
								b.Fatal(len(found.IDs), err)
							}
						}
					})
				}
			}
		}
	}
}
