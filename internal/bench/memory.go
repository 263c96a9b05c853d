package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"

	"github.com/caregate/caregate/internal/authz"
)

// memoryCache is the bound of the cache when memory is compared: less than even the
// small organisation fills.
const memoryCache = 16 << 20

// partsPatients is how many patients there are when it is measured what one takes in
// Redis: so many that the indexes have the form that they have in a large
// organisation.
const partsPatients = 200_000

// boundMemory is how many times the memory of the small organisation the large one
// may take in a sidecar.
const boundMemory = 1.25

// memories compares the memory of a sidecar, whose cache has a bound, with that of
// an OPA server, which holds everything; and says what the facts take in Redis.
func memories(
	ctx context.Context, small *organisation, service *authz.Service, root string, cfg config, progress io.Writer,
) (*result, error) {
	folder, err := os.MkdirTemp("", "caregate-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	redis, err := startRedis(ctx, folder)
	if err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintf(progress, "%s patients, for what each takes in Redis\n", number(partsPatients))
	patient, edge, err := redis.parts(ctx, newOrganisationOf(partsPatients))
	redis.stop()
	if err != nil {
		return nil, err
	}
	res := &result{
		title: fmt.Sprintf("Memory: a cache of %s MB. In Redis, a patient takes %s bytes, and each member of the care team %s",
			number(memoryCache/1e6), number(patient), number(edge)),
		header: []string{
			"", "heap of Caregate, MB", "resident, MB", "OPA server, resident, MB", "Redis, MB", "imported, patients/s",
		},
	}
	var heaps, residents []float64
	for _, n := range []int{patientCount, cfg.many} {
		if n == 0 {
			continue
		}
		o := small
		if n != patientCount {
			o = newOrganisationOf(n)
		}
		_, _ = fmt.Fprintf(progress, "%s patients\n", number(float64(n)))
		f, err := measureMemory(ctx, o, authz.NewService(o, service.Policy()), root, folder, progress)
		if err != nil {
			return nil, err
		}
		heaps, residents = append(heaps, f.heap), append(residents, f.resident)
		res.rows = append(res.rows, []string{
			number(float64(n)) + " patients", number(f.heap / 1e6), number(f.resident / 1e6), number(f.opa / 1e6),
			number(f.redis / 1e6), number(f.rate),
		})
	}
	if len(heaps) > 1 {
		res.check(fmt.Sprintf("heap with %s patients ÷ with %s, the same cache", number(float64(cfg.many)), number(patientCount)),
			spread{heaps[1] / heaps[0]}, atMost, boundMemory)
		res.check("the same, resident memory", spread{residents[1] / residents[0]}, atMost, boundMemory)
	}
	return res, nil
}

// footprint is what an organisation takes, in bytes, and how fast it is imported.
type footprint struct {
	heap, resident, opa, redis float64
	rate                       float64 // patients a second
}

// measureMemory fills a Redis, and has a sidecar asked about so many patients that
// its cache is full.
func measureMemory(
	ctx context.Context, o *organisation, service *authz.Service, root, folder string, progress io.Writer,
) (f footprint, err error) {
	redis, err := startRedis(ctx, folder)
	if err != nil {
		return f, err
	}
	defer redis.stop()
	if f.redis, f.rate, err = redis.fillAll(ctx, o); err != nil {
		return f, err
	}
	caregate, addr, err := startSelf(ctx, serveCaregate, redis.url(), strconv.Itoa(memoryCache))
	if err != nil {
		return f, err
	}
	defer caregate.stop()
	lists := make([]batchQuestion, 64)
	d := &draws{organisation: o, r: rand.New(rand.NewPCG(organisationSeed, 3))} //nolint:gosec // the same every time
	for i := range lists {
		lists[i] = d.batch("view")
	}
	t, err := newBatchTarget("Caregate", addr, caregate, lists, false)
	if err != nil {
		return f, err
	}
	for range 2 {
		if err := t.learn(ctx); err != nil {
			return f, err
		}
	}
	if f.heap, err = caregate.heap(ctx); err != nil {
		return f, err
	}
	f.resident = caregate.resident() // after what was not needed went back
	program, _, err := installOPA(ctx, root, progress)
	if err != nil {
		return f, err
	}
	opa, _, err := startOPA(ctx, program, folder, o, service)
	if err != nil {
		return f, err
	}
	defer opa.stop()
	f.opa = opa.resident()
	return f, nil
}
