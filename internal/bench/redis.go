package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
)

// redisServer is a Redis of the comparison's own, which keeps nothing on disk.
type redisServer struct {
	*process
	addr string
}

func startRedis(ctx context.Context, folder string) (*redisServer, error) {
	addr, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, io.Discard, "redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", folder, "--save", "", "--appendonly", "no")
	if err != nil {
		return nil, fmt.Errorf("redis-server is needed to measure with (see make redis-server): %w", err)
	}
	r := &redisServer{p, addr}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err = r.usedMemory(ctx); err == nil {
			return r, nil
		}
		if err = errors.Join(p.died(), ctx.Err()); err != nil || time.Now().After(deadline) {
			p.stop()
			return nil, errors.Join(errors.New("redis-server did not start"), err)
		}
	}
}

// url is where the facts are. A read may take long, as on a machine that others use
// too: an answer that is late counts, and one that fails ends the run.
func (r *redisServer) url() string { return "redis://" + r.addr + "?read_timeout=5s" }

// usedMemory returns the bytes that Redis holds its data in.
func (r *redisServer) usedMemory(ctx context.Context) (float64, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", r.addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := conn.Write([]byte("INFO memory\r\n")); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "used_memory:"); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, errors.Join(errors.New("no memory in what redis-server says of itself"), lines.Err())
}

// fill imports records and returns how many they were, and how many in a second.
func (r *redisServer) fill(ctx context.Context, records iter.Seq[record]) (n int, rate float64, err error) {
	// One change is kept, so that it is the facts that take the memory.
	d, err := directory.Open(directory.Config{URL: r.url(), FactsTimeout: factsTimeout, ChangesKept: 1})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	read, write := io.Pipe()
	defer func() { _ = read.Close() }()
	go func() {
		text := bufio.NewWriterSize(write, 1<<20)
		e := json.NewEncoder(text)
		for r := range records {
			if e.Encode(&r) != nil { // the import ended, and says why
				return
			}
		}
		_ = write.CloseWithError(text.Flush())
	}()
	began := time.Now()
	done, err := d.Import(ctx, organisationName, read, directory.ImportOptions{})
	return done.Records, float64(done.Records) / time.Since(began).Seconds(), err
}

// record is a record as it is imported.
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

func recordOf(f *authz.Fact) record {
	r := record{
		Kind: f.Kind, ID: f.ID, Permissions: f.Permissions, Role: f.Role, Groups: f.Groups, Provider: f.Provider,
		Access: f.Access, Booking: f.Booking, PatientGroup: f.PatientGroup, CareTeam: f.CareTeam,
	}
	if f.Kind != authz.KindPatient {
		r.Name = f.ID
	}
	return r
}

// people are the records of everything but the patients.
func (o *organisation) people(yield func(record) bool) {
	for _, kind := range []authz.Kind{authz.KindRole, authz.KindGroup, authz.KindPatientGroup, authz.KindTeamMember} {
		for _, fact := range o.facts {
			if fact.Kind == kind && !yield(recordOf(fact)) {
				return
			}
		}
	}
}

// records are the records of the patients, with their care teams or without.
func (o *organisation) records(careTeams bool) iter.Seq[record] {
	return func(yield func(record) bool) {
		for _, patient := range o.patients {
			r := recordOf(patient)
			if !careTeams {
				r.CareTeam = nil
			}
			if !yield(r) {
				return
			}
		}
	}
}

// fillAll imports an organisation and returns how many bytes it takes, and how many
// records of patients there were in a second.
func (r *redisServer) fillAll(ctx context.Context, o *organisation) (bytes, rate float64, err error) {
	before, err := r.usedMemory(ctx)
	if err != nil {
		return 0, 0, err
	}
	if _, _, err = r.fill(ctx, o.people); err != nil {
		return 0, 0, err
	}
	n, rate, err := r.fill(ctx, o.records(true))
	if err != nil {
		return 0, 0, err
	}
	if n != len(o.patients) {
		return 0, 0, fmt.Errorf("%d of %d patients were imported", n, len(o.patients))
	}
	after, err := r.usedMemory(ctx)
	return after - before, rate, err
}

// parts imports an organisation in steps, and returns the bytes that a patient
// takes who has no care team, and that each member of one takes.
func (r *redisServer) parts(ctx context.Context, o *organisation) (patient, edge float64, err error) {
	edges := 0
	for _, patient := range o.patients {
		edges += len(patient.CareTeam)
	}
	var used [3]float64
	for i, records := range []iter.Seq[record]{o.people, o.records(false), o.records(true)} {
		if _, _, err = r.fill(ctx, records); err != nil {
			return 0, 0, err
		}
		if used[i], err = r.usedMemory(ctx); err != nil {
			return 0, 0, err
		}
	}
	return (used[1] - used[0]) / float64(len(o.patients)), (used[2] - used[1]) / float64(edges), nil
}
