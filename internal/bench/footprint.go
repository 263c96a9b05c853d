package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/process"
)

const (
	// memoryCache is the bound of the cache when memory is compared: less than even
	// the small organisation fills.
	memoryCache = 16 << 20
	// memoryBatches fill it.
	memoryBatches = 64
	// partsPatients is how many patients there are when it is measured what one takes
	// in Redis: so many that the indexes have the form that they have in a large
	// organisation.
	partsPatients = 200_000
)

// memories compares the memory of a sidecar, whose cache has a bound, with that of
// an OPA server, which holds everything; and says what the facts take in Redis. A large
// organisation may take 1.25 times the sidecar's memory of a small one.
func memories(ctx context.Context, s *stage) *table {
	s.say("%s patients, for what each takes in Redis", number(partsPatients))
	patient, edge := s.memoryInRedis(ctx, newOrganisation(partsPatients))
	t := &table{
		title: fmt.Sprintf("Memory: a cache of %s MB. In Redis, a patient takes %s bytes, and each member of the care team %s",
			number(memoryCache/1e6), number(patient), number(edge)),
		header: []string{
			"", "heap of Caregate, MB", "resident, MB", "OPA server, resident, MB", "Redis, MB", "imported, patients/s",
		},
	}
	heap, resident := s.memoryRow(ctx, t, s.organisation)
	if s.many == 0 {
		return t
	}
	manyHeap, manyResident := s.memoryRow(ctx, t, newOrganisation(s.many))
	t.bounds = []bound{
		{
			fmt.Sprintf("heap with %s patients ÷ with %s, the same cache", number(float64(s.many)), number(patientCount)),
			spread{manyHeap / heap}, atMost, 1.25,
		},
		{"the same, resident memory", spread{manyResident / resident}, atMost, 1.25},
	}
	return t
}

// memoryInRedis imports an organisation in steps, and returns the bytes that a patient
// takes who has no care team, and that each member of one takes.
func (s *stage) memoryInRedis(ctx context.Context, o *organisation) (patient, edge float64) {
	edges := 0
	var alone []*authz.Fact
	for _, p := range o.patients {
		edges += len(p.CareTeam)
		alone = append(alone, &authz.Fact{Key: p.Key, PatientGroup: p.PatientGroup})
	}
	redis := s.startRedis()
	var used [3]float64
	for i, facts := range [][]*authz.Fact{o.others, alone, o.patients} {
		redis.fill(ctx, facts)
		used[i] = redis.used()
	}
	redis.Kill()
	return (used[1] - used[0]) / float64(len(o.patients)), (used[2] - used[1]) / float64(edges)
}

// memoryRow adds what an organisation takes, and returns the bytes of a sidecar that is
// asked about so many patients that its cache is full.
func (s *stage) memoryRow(ctx context.Context, t *table, o *organisation) (heap, resident float64) {
	patients := number(float64(len(o.patients))) + " patients"
	s.say("%s", patients)
	redis := s.startRedis()
	before := redis.used()
	redis.fill(ctx, o.others)
	rate := redis.fill(ctx, o.patients)
	used := redis.used() - before

	caregate := s.startCaregate(ctx, redis, memoryCache)
	var asked []question
	d := newDraws(o, 3)
	for range memoryBatches {
		asked = append(asked, d.batch("view")...)
	}
	s.newTarget(ctx, "Caregate", caregate, pathBatch, asked)
	heap = must(strconv.ParseFloat(must(get(ctx, "http://"+caregate.addr+pathHeap)), 64))
	resident = caregate.resident() // after what was not needed went back

	opa, _ := s.startOPA(ctx, o, authz.NewService(o, s.service.Policy()))
	t.row(patients, heap/1e6, resident/1e6, opa.resident()/1e6, used/1e6, rate)
	s.stop(opa, caregate)
	redis.Kill()
	return heap, resident
}

// binary measures the stripped binary, and how long caregate serve takes from its
// start to its readiness with the embedded example.
func binary(ctx context.Context, s *stage) *table {
	path := filepath.Join(s.folder, "caregate")
	must(goCommand(ctx, []string{"CGO_ENABLED=0"}, "-C", s.root, "build", "-trimpath", "-tags", "grpcnotrace,nosqlite",
		"-ldflags", "-s -w", "-o", path, "./cmd/caregate"))
	size := must(os.Stat(path)).Size()
	start := &contender{name: "caregate serve", turn: func(ctx context.Context) (ready, _ float64) {
		diagnostic := must(process.FreeAddress(ctx))
		began := time.Now()
		p := s.start(ctx, diagnostic, "http://"+diagnostic+"/health/ready",
			path, "serve", "--addr", "127.0.0.1:0", "--diagnostic-addr", diagnostic, "--admin-addr", "127.0.0.1:0")
		ready = milliseconds(began)
		s.stop(p)
		return ready, 0
	}}
	s.takeTurns(ctx, s.rounds, "ms", []*contender{start})
	return &table{bounds: []bound{
		{"stripped binary, bytes", spread{float64(size)}, atMost, 39_999_999},
		{"caregate serve to ready, ms", start.value, atMost, 1000},
	}}
}
