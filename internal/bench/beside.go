package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caregate/caregate/internal/authz"
)

// The load of one turn. Decisions come at a fixed rate, whatever becomes of those
// before them, and at a modest one: the program that asks has the same processors.
const (
	besideRate           = 500 // decisions a second
	besideConnections    = 8
	besideTurns          = 16 // turns of others that one here lasts: long work rests, and has to end
	besideRounds         = 5  // at most
	besideRest           = 200 * time.Millisecond
	administrators       = 16
	administratorsRepeat = 100 * time.Millisecond // after a refusal: a tenth of what it asks for
)

// What administrators ask about: a group that shows everybody every patient, patients
// who move, and a member of many groups.
const (
	besideGroup  = "everybody"
	besideMoves  = 1000
	besideMember = "many-groups"
	besideAsks   = "administrator"
	besideGroups = 3000
)

// beside measures how long decisions take, alone and beside as many previews and
// explanations as administrators on sixteen connections can ask for. 99 in 100 may take
// 3 times as long.
func beside(ctx context.Context, s *stage) *table {
	redis := s.startFilled(ctx, s.organisation, administratorsFacts(s.organisation)...)
	var done work
	length := besideTurns * s.turn
	var contenders []*contender
	for _, c := range []struct {
		name  string
		cache int
	}{{"facts cached", cacheDefault}, {"cache off: each question reads Redis", cacheOff}} {
		t := s.newTarget(ctx, c.name, s.startCaregate(ctx, redis, c.cache), pathSingle, s.questions)
		requests := administratorsRequests(t.addr)
		decide := func(ctx context.Context) (late, median float64) {
			time.Sleep(besideRest) // what was before ends, and what is now has begun
			times := must(t.paced(ctx, besideConnections, besideRate, length))
			return times.late(), times.median()
		}
		contenders = append(contenders,
			&contender{name: c.name + ", alone", turn: decide},
			&contender{name: c.name + ", beside", turn: func(ctx context.Context) (late, median float64) {
				administrate := func(ctx context.Context) error { return done.administrate(ctx, t.addr, requests) }
				during(ctx, administrate, func() { late, median = decide(ctx) })
				return late, median
			}})
	}
	rounds := min(s.rounds, besideRounds)
	s.takeTurns(ctx, rounds, "ms for 99 in 100", contenders)

	worked := 2 * float64(rounds) * length.Seconds()
	t := &table{
		title: fmt.Sprintf("Decisions beside administrators' work: %d a second, while %d connections ask for previews of %s moves, previews about all %s members, and explanations of a member of %s groups, again at once or 0.1 s after a refusal: %s answered a second, %s refused (429 and 503)",
			besideRate, administrators, number(besideMoves), number(memberCount), number(besideGroups),
			number(float64(done.answered.Load())/worked), number(float64(done.refused.Load())/worked)),
		header: []string{"", "median, ms", "min–max", "99 in 100, ms", "min–max"},
		bounds: []bound{
			{"decisions from the cache beside administrators' work ÷ alone, 99 in 100", contenders[1].over(contenders[0]), atMost, 3},
			{"decisions that read Redis beside administrators' work ÷ alone, 99 in 100", contenders[3].over(contenders[2]), atMost, 3},
		},
	}
	for _, c := range contenders {
		t.row(c.name, c.further, c.value)
	}
	return t
}

// administratorsFacts are a group that everybody is in, one who asks, and a member who
// is in many groups. Roles and groups decide as before.
func administratorsFacts(o *organisation) []*authz.Fact {
	group := func(id, permission string) *authz.Fact {
		return &authz.Fact{Key: authz.Key{Kind: authz.KindGroup, ID: id}, Permissions: []string{permission}}
	}
	facts := []*authz.Fact{group(besideGroup, "user:view")}
	for _, m := range o.members {
		facts = append(facts, &authz.Fact{
			Key: m.Key, Role: m.Role, Groups: append(slices.Clip(m.Groups), besideGroup),
			Access: m.Access, Provider: m.Provider, Booking: m.Booking,
		})
	}
	many := &authz.Fact{Key: authz.Key{Kind: authz.KindTeamMember, ID: besideMember}, Role: "trainee"}
	for i := range besideGroups {
		many.Groups = append(many.Groups, fmt.Sprintf("further-%04d", i))
		facts = append(facts, group(many.Groups[i], "stock:view"))
	}
	return append(facts, many, &authz.Fact{Key: authz.Key{Kind: authz.KindTeamMember, ID: besideAsks}, Role: "administrator"})
}

// administratorsRequests are what administrators ask.
func administratorsRequests(addr string) [][]byte {
	set := func(fields document) document { return document{"set": fields} }
	var moves []document
	for i := range besideMoves {
		moves = append(moves, set(document{"kind": authz.KindPatient, "id": fmt.Sprintf("p-%d", i+1), "patient_group": "population-000"}))
	}
	const actor = "Caregate-Actor: " + besideAsks + "\r\n"
	return [][]byte{
		httpRequest(addr, pathPreviews, actor, document{"edits": []document{
			set(document{"kind": authz.KindGroup, "id": besideGroup, "permissions": []string{"patient:view_all", "patient:view"}}),
		}}),
		httpRequest(addr, pathPreviews, actor, document{"edits": moves}),
		httpRequest(addr, pathExplanations, actor, asking(besideMember, "delete", "p-1")),
	}
}

// work is how often administrators were answered, and refused for now.
type work struct{ answered, refused atomic.Int64 }

// administrate has each administrator ask one of requests over and over, until ctx ends.
func (w *work) administrate(ctx context.Context, addr string, requests [][]byte) error {
	conns, err := dial(ctx, addr, administrators)
	if err != nil {
		return err
	}
	defer conns.close()
	defer context.AfterFunc(ctx, conns.close)()
	return conns.each(func(i int, c *connection) error {
		for ctx.Err() == nil {
			status, body, err := c.exchange(requests[i%len(requests)])
			switch {
			case ctx.Err() != nil:
			case err != nil:
				return err
			case status == http.StatusOK:
				w.answered.Add(1)
			case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
				w.refused.Add(1)
				time.Sleep(administratorsRepeat)
			default:
				return fmt.Errorf("an administrator was answered %d: %s", status, body)
			}
		}
		return nil
	})
}
