package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caregate/caregate/internal/authz"
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

// searches measures searches for patients in the large organisation, on one connection.
func searches(ctx context.Context, s *stage) *table {
	if s.many == 0 {
		return new(table)
	}
	o := newOrganisation(s.many)
	redis := s.startFilled(ctx, o, searchersFacts(o)...)
	addr := s.startCaregate(ctx, redis, cacheDefault).addr
	conns := must(dial(ctx, addr, 1))
	defer conns.close()
	c := searching{conns[0], addr}

	s.say("walking to page 1,000, twice")
	hundred := c.page(searcher, "", 100)
	var checks [][]byte // what a search found a check allows
	for _, found := range c.find(hundred).Results {
		checks = append(checks, httpRequest(addr, pathSingle, "", asking(searcher, "view", found.ID)))
		if !c.allowed(checks[len(checks)-1]) {
			check(errors.New("a check denies what a search found"))
		}
	}
	small, smallLate := c.walk(ctx, searcher, smallPage)
	all, allLate := c.walk(ctx, seesAll, 100)
	contenders := []*contender{
		c.timed("first page of 100", hundred),
		c.timed("100 single checks, one after another", checks...),
		c.timed("first page of 25", small),
		c.timed("page 1,000 of 25", smallLate),
		c.timed("first page of 100, for one who sees all patients", all),
		c.timed("page 1,000 of 100, likewise", allLate),
	}
	s.takeTurns(ctx, s.rounds, "ms", contenders)
	t := &table{
		title: fmt.Sprintf("Search: %s patients in Redis; which of them may a member with Access to %d groups and %d care-team patients view? One connection",
			number(float64(s.many)), searcherGroups, searcherPatients),
		header: []string{"", "median, ms", "min–max"},
		bounds: []bound{
			{"search, first page of 100 ÷ 100 single checks one after another", contenders[0].over(contenders[1]), atMost, 0.1},
			{"search, page 1,000 of 25 ÷ page 1", contenders[3].over(contenders[2]), atMost, 1.5},
			{"search over all patients, page 1,000 of 100 ÷ page 1", contenders[5].over(contenders[4]), atMost, 1.5},
		},
	}
	for _, c := range contenders {
		t.row(c.name, c.value)
	}
	return t
}

// searchersFacts are the members who search, and patients of the first again, with that
// member on the care team.
func searchersFacts(o *organisation) []*authz.Fact {
	access := o.patientGroups[:searcherGroups]
	facts := []*authz.Fact{
		{Key: authz.Key{Kind: authz.KindTeamMember, ID: seesAll}, Role: "administrator"},
		{Key: authz.Key{Kind: authz.KindTeamMember, ID: searcher}, Role: "practitioner", Access: access},
	}
	most := len(facts) + searcherPatients
	for _, p := range o.patients {
		if len(facts) < most && !slices.Contains(access, p.PatientGroup) {
			facts = append(facts, &authz.Fact{Key: p.Key, PatientGroup: p.PatientGroup, CareTeam: append(slices.Clip(p.CareTeam), searcher)})
		}
	}
	return facts
}

// searching is a connection with the address that it asks.
type searching struct {
	*connection
	addr string
}

// wireFound is the answer to a search.
type wireFound struct {
	Page struct {
		Next string `json:"next_token"`
	} `json:"page"`
	Results []wireEntity `json:"results"`
}

// page writes the request for one page of the patients whom a member may view.
func (c searching) page(member, token string, limit int) []byte {
	w := asking(member, "view", "")
	w.Page = &wirePage{token, limit}
	return httpRequest(c.addr, pathSearch, "", w)
}

// find asks for one page.
func (c searching) find(request []byte) (found wireFound) {
	check(json.Unmarshal(must(c.ask(request)), &found))
	return found
}

// walk returns the requests for the first page and for the late one.
func (c searching) walk(ctx context.Context, member string, limit int) (first, late []byte) {
	token := ""
	for page := 1; ; page++ {
		late = c.page(member, token, limit)
		found := c.find(late)
		if len(found.Results) != limit {
			check(fmt.Errorf("page %d has %d results", page, len(found.Results)))
		}
		if page == 1 {
			first = late
		}
		if page == latePage {
			return first, late
		}
		if token = found.Page.Next; token == "" {
			check(fmt.Errorf("there are only %d pages of %d; ask for more patients with -many", page, limit))
		}
		check(ctx.Err())
	}
}

// timed is a contender whose turn is the median of how many ms the requests take together.
func (c searching) timed(name string, requests ...[]byte) *contender {
	return &contender{name: name, turn: func(context.Context) (median, _ float64) {
		var all spread
		for range asked {
			began := time.Now()
			for _, request := range requests {
				must(c.ask(request))
			}
			all = append(all, milliseconds(began))
		}
		return all.median(), 0
	}}
}
