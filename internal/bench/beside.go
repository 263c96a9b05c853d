package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caregate/caregate/internal/authz"
)

// How many times as long 99 in 100 decisions may take while administrators' work is
// done beside them.
const boundBeside = 3

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

const (
	pathPreviews     = "/v1/previews"
	pathExplanations = "/v1/explanations"
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

// besideTurn is decisions of one sidecar, alone or beside administrators' work.
type besideTurn struct {
	name   string
	target *target
	work   bool
}

// beside measures how long decisions take, alone and beside as many previews and
// explanations as administrators on sixteen connections can ask for.
func beside(ctx context.Context, o *organisation, all []question, cfg config, progress io.Writer) (*result, error) {
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
	if err := redis.fillForAdministrators(ctx, o); err != nil {
		return nil, err
	}
	var contenders []besideTurn
	for _, c := range []struct{ name, cache string }{{"facts cached", "0"}, {"cache off: each question reads Redis", "-1"}} {
		sidecar, addr, err := startSelf(ctx, serveCaregate, redis.url(), c.cache)
		if err != nil {
			return nil, err
		}
		defer sidecar.stop()
		t := newTarget(c.name, addr, pathSingle, sidecar, all, func(q question) []byte { return q.body })
		for range 2 {
			if err := t.learn(ctx); err != nil {
				return nil, err
			}
		}
		contenders = append(contenders, besideTurn{c.name + ", alone", t, false}, besideTurn{c.name + ", beside", t, true})
	}
	median, late := make([]spread, len(contenders)), make([]spread, len(contenders))
	var done work
	var worked time.Duration
	rounds := min(cfg.rounds, besideRounds)
	for round := range rounds {
		for _, i := range turns(len(contenders), round) {
			m, l, d, err := contenders[i].measure(ctx, besideTurns*cfg.turn)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", contenders[i].name, errors.Join(err, contenders[i].target.child.died()))
			}
			median[i], late[i] = append(median[i], m), append(late[i], l)
			done.answered += d.answered
			done.refused += d.refused
			if contenders[i].work {
				worked += besideTurns * cfg.turn
			}
		}
		_, _ = fmt.Fprintf(progress, "round %d of %d:", round+1, rounds)
		for i := range contenders {
			_, _ = fmt.Fprintf(progress, " %s", number(late[i][round]))
		}
		_, _ = fmt.Fprintln(progress, " ms for 99 in 100")
	}
	res := &result{
		title: fmt.Sprintf("Decisions beside administrators' work: %d a second, while %d connections ask for previews of %s moves, previews about all %s members, and explanations of a member of %s groups, again at once or 0.1 s after a refusal: %s answered a second, %s refused (429 and 503)",
			besideRate, administrators, number(besideMoves), number(memberCount), number(besideGroups),
			number(float64(done.answered)/worked.Seconds()), number(float64(done.refused)/worked.Seconds())),
		header: []string{"", "median, ms", "min–max", "99 in 100, ms", "min–max"},
	}
	for i, c := range contenders {
		res.rows = append(res.rows, []string{c.name, number(median[i].median()), between(median[i]), number(late[i].median()), between(late[i])})
	}
	res.check("decisions from the cache beside administrators' work ÷ alone, 99 in 100", late[1].over(late[0]), atMost, boundBeside)
	res.check("decisions that read Redis beside administrators' work ÷ alone, 99 in 100", late[3].over(late[2]), atMost, boundBeside)
	return res, nil
}

// fillForAdministrators imports the organisation, a group that everybody is in, and a member who is in
// many. Roles and groups decide as before.
func (r *redisServer) fillForAdministrators(ctx context.Context, o *organisation) error {
	if _, _, err := r.fillAll(ctx, o); err != nil {
		return err
	}
	_, _, err := r.fill(ctx, func(yield func(record) bool) {
		if !yield(record{Kind: authz.KindGroup, ID: besideGroup, Name: besideGroup, Permissions: []string{"user:view"}}) {
			return
		}
		for _, member := range o.members {
			again := recordOf(member)
			again.Groups = append(slices.Clip(again.Groups), besideGroup)
			if !yield(again) {
				return
			}
		}
		if !yield(record{Kind: authz.KindTeamMember, ID: besideAsks, Name: besideAsks, Role: "administrator"}) {
			return
		}
		many := record{Kind: authz.KindTeamMember, ID: besideMember, Name: besideMember, Role: "trainee"}
		for i := range besideGroups {
			many.Groups = append(many.Groups, fmt.Sprintf("further-%04d", i))
			if !yield(record{Kind: authz.KindGroup, ID: many.Groups[i], Name: many.Groups[i], Permissions: []string{"stock:view"}}) {
				return
			}
		}
		yield(many)
	})
	return err
}

// asking returns the requests of administrators.
func (b *besideTurn) asking() [][]byte {
	t := &target{addr: b.target.addr, header: "Caregate-Actor: " + besideAsks + "\r\n"}
	var moves []string
	for i := range besideMoves {
		moves = append(moves, fmt.Sprintf(`{"set":{"kind":"patient","id":"p-%d","patient_group":"population-000"}}`, i+1))
	}
	t.add(pathPreviews, fmt.Appendf(nil, `{"edits":[{"set":{"kind":"group","id":%q,"permissions":["patient:view_all","patient:view"]}}]}`, besideGroup))
	t.add(pathPreviews, fmt.Appendf(nil, `{"edits":[%s]}`, strings.Join(moves, ",")))
	t.add(pathExplanations, fmt.Appendf(nil,
		`{"subject":{"type":"team_member","id":%q},"action":{"name":"delete"},"resource":{"type":"patient","id":"p-1"}}`, besideMember))
	return t.requests
}

// measure returns how long decisions take at their median, and 99 in 100 of them, in
// ms, and the work that was done beside them.
func (b *besideTurn) measure(ctx context.Context, duration time.Duration) (median, late float64, done work, err error) {
	working, stop := context.WithCancel(ctx)
	defer stop()
	var background sync.WaitGroup
	var all [administrators]work
	var errs [administrators]error
	if b.work {
		requests := b.asking()
		for i := range administrators {
			background.Go(func() { all[i], errs[i] = administrate(working, b.target.addr, requests[i%len(requests)]) })
		}
	}
	time.Sleep(besideRest) // what was before ends, and what is now has begun
	times, err := b.target.openLoop(ctx, besideConnections, besideRate, duration)
	stop()
	background.Wait()
	for _, w := range all {
		done.answered += w.answered
		done.refused += w.refused
	}
	if err := errors.Join(append(errs[:], err)...); err != nil {
		return 0, 0, done, err
	}
	slices.Sort(times)
	return times.median(), times[int(math.Ceil(0.99*float64(len(times))))-1], done, nil
}

// work is how often an administrator was answered, and refused for now.
type work struct{ answered, refused int }

// administrate asks the same over and over on one connection, until ctx ends.
func administrate(ctx context.Context, addr string, request []byte) (done work, err error) {
	c, err := dial(ctx, addr)
	if err != nil {
		return done, err
	}
	defer context.AfterFunc(ctx, func() { _ = c.conn.Close() })()
	defer func() { _ = c.conn.Close() }()
	for ctx.Err() == nil {
		status, body, err := c.exchange(request)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			return done, err
		case status == http.StatusOK:
			done.answered++
		case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
			done.refused++
			time.Sleep(administratorsRepeat)
		default:
			return done, fmt.Errorf("an administrator was answered %d: %s", status, body)
		}
	}
	return done, nil
}

// openLoop asks at a rate for as long as duration, and returns how many milliseconds
// each answer took: from when the question was due when the answer before it was late,
// and else from when it was sent.
func (t *target) openLoop(ctx context.Context, connections int, rate float64, duration time.Duration) (spread, error) {
	all, errs := make([]spread, connections), make([]error, connections)
	each := time.Duration(float64(connections) / rate * float64(time.Second))
	began := time.Now()
	var group sync.WaitGroup
	for i := range connections {
		group.Go(func() {
			all[i], errs[i] = t.keepTime(ctx, i, began.Add(each*time.Duration(i)/time.Duration(connections)), each, duration)
		})
	}
	group.Wait()
	return slices.Concat(all...), errors.Join(append(errs, ctx.Err())...)
}

// keepTime is one connection of an open loop.
func (t *target) keepTime(ctx context.Context, from int, began time.Time, each, duration time.Duration) (took spread, err error) {
	c, err := dial(ctx, t.addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.conn.Close() }()
	for n := 0; time.Duration(n)*each < duration; n++ {
		due := began.Add(time.Duration(n) * each)
		if early := time.Until(due); early > 0 {
			time.Sleep(early)
			due = time.Now()
		}
		at := (from*len(t.requests)/besideConnections + n) % len(t.requests)
		body, err := c.ask(t.requests[at])
		if err != nil {
			return nil, err
		}
		took = append(took, float64(time.Since(due).Nanoseconds())/1e6)
		if len(body) != len(t.answers[at]) {
			return nil, fmt.Errorf("question %d was answered with %s, and before with %s", at, body, t.answers[at])
		}
	}
	return took, nil
}
