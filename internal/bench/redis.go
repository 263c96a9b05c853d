package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/redistest"
)

// redisServer is a Redis of the section's own, which keeps nothing on disk.
type redisServer struct{ *redistest.Server }

func (s *stage) startRedis() redisServer {
	r, err := redistest.Start(must(os.MkdirTemp(s.folder, "redis-")))
	if err != nil {
		check(fmt.Errorf("redis-server is needed to measure with (see make redis-server): %w", err))
	}
	s.redises = append(s.redises, redisServer{r})
	return redisServer{r}
}

// startFilled starts a Redis that holds an organisation, and further facts after it.
func (s *stage) startFilled(ctx context.Context, o *organisation, further ...*authz.Fact) redisServer {
	r := s.startRedis()
	for _, facts := range [][]*authz.Fact{o.others, o.patients, further} {
		r.fill(ctx, facts)
	}
	return r
}

// url is where the facts are. A read may take long, as on a machine that others use
// too: an answer that is late counts, and one that fails ends the run.
func (r redisServer) url() string { return r.URL() + "?read_timeout=5s" }

// used returns the bytes that Redis holds its data in.
func (r redisServer) used() float64 {
	_, rest, _ := strings.Cut(must(r.Do("INFO", "memory")).(string), "used_memory:")
	value, _, _ := strings.Cut(rest, "\r\n")
	return must(strconv.ParseFloat(value, 64))
}

// fill imports facts and returns how many in a second.
func (r redisServer) fill(ctx context.Context, facts []*authz.Fact) (rate float64) {
	// One change is kept, so that it is the facts that take the memory.
	d := must(directory.Open(directory.Config{URL: r.url(), FactsTimeout: factsTimeout, ChangesKept: 1}))
	defer func() { check(d.Close()) }()
	read, write := io.Pipe()
	defer func() { _ = read.Close() }()
	go func() {
		text := bufio.NewWriterSize(write, 1<<20)
		e := json.NewEncoder(text)
		for _, f := range facts {
			line := record{f.Kind, f.ID, f.ID, f.Permissions, f.Role, f.Groups, f.Provider, f.Access, f.Booking, f.PatientGroup, f.CareTeam}
			if f.Kind == authz.KindPatient {
				line.Name = ""
			}
			if e.Encode(&line) != nil { // the import ended, and says why
				return
			}
		}
		_ = write.CloseWithError(text.Flush())
	}()
	began := time.Now()
	done := must(d.Import(ctx, organisationName, read, directory.ImportOptions{}))
	if done.Records != len(facts) {
		check(fmt.Errorf("%d of %d records were imported", done.Records, len(facts)))
	}
	return float64(done.Records) / time.Since(began).Seconds()
}

// record is a fact as it is imported.
type record struct {
	Kind         authz.Kind `json:"kind"`
	ID           string     `json:"id"`
	Name         string     `json:"name,omitempty"`
	Permissions  []string   `json:"permissions,omitempty"`
	Role         string     `json:"role,omitempty"`
	Groups       []string   `json:"groups,omitempty"`
	Provider     bool       `json:"provider,omitempty"`
	Access       []string   `json:"access,omitempty"`
	Booking      []string   `json:"booking,omitempty"`
	PatientGroup string     `json:"patient_group,omitempty"`
	CareTeam     []string   `json:"care_team,omitempty"`
}
