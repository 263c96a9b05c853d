package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/caregate/caregate/internal/authz"
)

const pathSearch = "/access/v1/search/resource"

// What a search is held to: a page of a hundred against as many single checks, one
// after another, and a late page against the first.
const (
	boundSearch   = 0.1
	boundLatePage = 1.5
)

// searcher is the member who searches: Access to searcherGroups patient groups, and
// on the care team of searcherPatients others. To seesAll every patient is visible.
const (
	searcher         = "searcher"
	seesAll          = "sees-all"
	searcherGroups   = 5
	searcherPatients = 500
	latePage         = 1000
	// smallPage makes that member's patients enough for latePage pages.
	smallPage = 25
)

// asked is how often each request is sent in a round.
const asked = 25

// searches measures searches for patients in the large organisation.
func searches(ctx context.Context, cfg config, progress io.Writer) (*result, error) {
	if cfg.many == 0 {
		return &result{}, nil
	}
	folder, err := os.MkdirTemp("", "caregate-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	redis, err := startRedis(ctx, folder)
	if err != nil {
		return nil, err
	}
	defer redis.stop()
	if err := redis.fillForSearch(ctx, newOrganisationOf(cfg.many)); err != nil {
		return nil, err
	}
	caregate, addr, err := startSelf(ctx, serveCaregate, redis.url(), "0")
	if err != nil {
		return nil, err
	}
	defer caregate.stop()
	s := &searching{addr: addr}
	if s.conn, err = dial(ctx, addr); err != nil {
		return nil, err
	}
	defer func() { _ = s.conn.conn.Close() }()
	if err := s.prepare(ctx, progress); err != nil {
		return nil, errors.Join(err, caregate.died())
	}
	times := make([]spread, len(s.turns))
	for round := range cfg.rounds {
		for _, i := range turns(len(s.turns), round) {
			took, err := s.median(ctx, s.turns[i])
			if err != nil {
				return nil, errors.Join(err, caregate.died())
			}
			times[i] = append(times[i], took)
		}
	}
	res := &result{
		title: fmt.Sprintf("Search: %s patients in Redis; which of them may a member with Access to %d groups and %d care-team patients view? One connection",
			number(float64(cfg.many)), searcherGroups, searcherPatients),
		header: []string{"", "median, ms", "min–max"},
	}
	for i, t := range s.turns {
		res.rows = append(res.rows, []string{t.name, number(times[i].median()), between(times[i])})
	}
	res.check("search, first page of 100 ÷ 100 single checks one after another", times[0].over(times[1]), atMost, boundSearch)
	res.check("search, page 1,000 of 25 ÷ page 1", times[3].over(times[2]), atMost, boundLatePage)
	res.check("search over all patients, page 1,000 of 100 ÷ page 1", times[5].over(times[4]), atMost, boundLatePage)
	return res, nil
}

// fillForSearch imports an organisation and the member who searches.
func (r *redisServer) fillForSearch(ctx context.Context, o *organisation) error {
	if _, _, err := r.fillAll(ctx, o); err != nil {
		return err
	}
	member := &authz.Fact{
		Key: authz.Key{Kind: authz.KindTeamMember, ID: searcher}, Role: "practitioner", Access: o.patientGroups[:searcherGroups],
	}
	all := &authz.Fact{Key: authz.Key{Kind: authz.KindTeamMember, ID: seesAll}, Role: "administrator"}
	_, _, err := r.fill(ctx, func(yield func(record) bool) {
		if !yield(recordOf(member)) || !yield(recordOf(all)) {
			return
		}
		n := 0
		for _, patient := range o.patients {
			if n == searcherPatients {
				return
			}
			if slices.Contains(member.Access, patient.PatientGroup) {
				continue
			}
			n++
			again := recordOf(patient)
			again.CareTeam = append(slices.Clip(again.CareTeam), searcher)
			if !yield(again) {
				return
			}
		}
	})
	return err
}

// searching is a connection with what is asked on it.
type searching struct {
	addr  string
	conn  *connection
	turns []searchTurn
}

// searchTurn is requests that are timed together.
type searchTurn struct {
	name     string
	requests [][]byte
}

type wireSearch struct {
	Subject wireEntity `json:"subject"`
	Action  struct {
		Name string `json:"name"`
	} `json:"action"`
	Resource struct {
		Type string `json:"type"`
	} `json:"resource"`
	Page struct {
		Token string `json:"token,omitempty"`
		Limit int    `json:"limit"`
	} `json:"page"`
}

type wireFound struct {
	Page struct {
		Next string `json:"next_token"`
	} `json:"page"`
	Results []wireEntity `json:"results"`
}

// page makes the request for one page.
func (s *searching) page(member, token string, limit int) ([]byte, error) {
	var w wireSearch
	w.Subject = wireEntity{Type: string(authz.KindTeamMember), ID: member}
	w.Action.Name, w.Resource.Type = "view", string(authz.KindPatient)
	w.Page.Token, w.Page.Limit = token, limit
	body, err := json.Marshal(w)
	t := target{addr: s.addr}
	t.add(pathSearch, body)
	return t.requests[0], err
}

// find asks for one page and returns the results.
func (s *searching) find(request []byte) (*wireFound, error) {
	body, err := s.conn.ask(request)
	if err != nil {
		return nil, err
	}
	found := new(wireFound)
	return found, json.Unmarshal(body, found)
}

// walk returns the requests for the first page and for the late one.
func (s *searching) walk(ctx context.Context, member string, limit int) (first, late []byte, err error) {
	token := ""
	for page := 1; ; page++ {
		if late, err = s.page(member, token, limit); err != nil {
			return nil, nil, err
		}
		found, err := s.find(late)
		if err != nil {
			return nil, nil, err
		}
		if len(found.Results) != limit {
			return nil, nil, fmt.Errorf("page %d has %d results", page, len(found.Results))
		}
		if page == 1 {
			first = bytes.Clone(late)
		}
		if page == latePage {
			return first, late, ctx.Err()
		}
		if token = found.Page.Next; token == "" {
			return nil, nil, fmt.Errorf("there are only %d pages of %d; ask for more patients with -many", page, limit)
		}
	}
}

// prepare makes the turns, and looks at the answers: what a search found a check
// allows.
func (s *searching) prepare(ctx context.Context, progress io.Writer) error {
	_, _ = fmt.Fprintln(progress, "walking to page 1,000, twice")
	hundred, err := s.page(searcher, "", 100)
	if err != nil {
		return err
	}
	found, err := s.find(hundred)
	if err != nil {
		return err
	}
	checks := target{addr: s.addr}
	for _, result := range found.Results {
		body, err := encode(&authz.Request{
			Subject: authz.Entity{Type: string(authz.KindTeamMember), ID: searcher}, Action: authz.Action{Name: "view"},
			Resource: authz.Entity{Type: result.Type, ID: result.ID},
		})
		if err != nil {
			return err
		}
		checks.add(pathSingle, body)
	}
	for _, request := range checks.requests {
		if body, err := s.conn.ask(request); err != nil || !bytes.HasPrefix(body, []byte(`{"decision":true`)) {
			return errors.Join(errors.New("a check denies what a search found"), err)
		}
	}
	small, smallLate, err := s.walk(ctx, searcher, smallPage)
	if err != nil {
		return err
	}
	everything, everythingLate, err := s.walk(ctx, seesAll, 100)
	if err != nil {
		return err
	}
	s.turns = []searchTurn{
		{"first page of 100", [][]byte{hundred}},
		{"100 single checks, one after another", checks.requests},
		{"first page of 25", [][]byte{small}},
		{"page 1,000 of 25", [][]byte{smallLate}},
		{"first page of 100, for one who sees all patients", [][]byte{everything}},
		{"page 1,000 of 100, likewise", [][]byte{everythingLate}},
	}
	return nil
}

// median returns how long the requests of a turn take together, in ms.
func (s *searching) median(ctx context.Context, t searchTurn) (float64, error) {
	var all spread
	for range asked {
		began := time.Now()
		for _, request := range t.requests {
			if _, err := s.conn.ask(request); err != nil {
				return 0, fmt.Errorf("%s: %w", t.name, err)
			}
		}
		all = append(all, float64(time.Since(began).Nanoseconds())/1e6)
	}
	return all.median(), ctx.Err()
}
