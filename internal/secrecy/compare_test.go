package secrecy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// pair are two organisations that show an actor the same, each on a side of its own.
type pair struct {
	sides  [2]*side
	names  [2]string // of equal length; no answer has them
	actor  actor
	worlds [2]world
	sights [2]sight
	heads  [2]authz.Revision
	differ []key // the records that are not the same
}

// settle reads both organisations as they are now, and says how they differ for the actor.
func (p *pair) settle(ctx context.Context) (why string, err error) {
	for i, s := range p.sides {
		if p.worlds[i], err = s.facts(ctx, p.names[i]); err != nil {
			return "", err
		}
		if _, p.heads[i], err = s.look(ctx, p.names[i], key{"role", "root"}); err != nil {
			return "", err
		}
	}
	p.differ = differing(p.worlds[0], p.worlds[1])
	all := union(p.worlds[0], p.worlds[1])
	for i, s := range p.sides {
		if p.sights[i], err = s.sees(ctx, p.names[i], p.worlds[i], p.actor, all); err != nil {
			return "", err
		}
	}
	return apart(p.worlds[0], p.worlds[1], p.sights[0], p.sights[1]), nil
}

// nonce is the second half of a revision, in headers, tags, cursors of changes and bodies. It is made of random bytes, so it
// differs between two organisations with the same facts, and says nothing of either. The count before it is compared: both
// organisations have had as many changes.
var nonce = regexp.MustCompile(`\b([0-9]+)\.[A-Za-z0-9_-]{14}`)

// instant is when a change was made. The clock is no fact of the organisation.
var instant = regexp.MustCompile(`"at":"[^"]*"`)

// unread are the headers that are not compared: the time of day, and the id of the request, which is the same anyway.
var unread = []string{"Date", "X-Request-Id"}

func (a answer) comparable() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d %s", a.status, a.body)
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		if !slices.Contains(unread, name) {
			fmt.Fprintf(&out, "\n    %s: %s", name, strings.Join(a.header[name], ", "))
		}
	}
	return instant.ReplaceAllString(nonce.ReplaceAllString(out.String(), "$1.*"), `"at":"*"`)
}

// conditions are the headers about versions for one side. The actor's own tag is what a GET gave them, if anything. A tag
// that names a record is the record's, and where this side has none that of the other side: a tag that somebody guessed.
func (p *pair) conditions(ctx context.Context, i int, r request) (headers []string, err error) {
	for name, tag := range map[string]string{"If-Match": r.match, "If-None-Match": r.noMatch} {
		if tag == ownTag {
			tag = send(ctx, p.sides[i].administration, "GET", "/organisations/"+p.names[i]+r.path, "", "Caregate-Actor", p.actor.String()).header.Get("ETag")
		} else if kind, id, named := strings.Cut(tag, "/"); named {
			tag = ""
			for _, n := range []int{i, 1 - i} {
				if tag == "" {
					if tag, _, err = p.sides[n].look(ctx, p.names[n], key{kind, id}); err != nil {
						return nil, err
					}
				}
			}
		}
		headers = append(headers, name, tag)
	}
	return headers, nil
}

// answers sends a request to one side, under its conditions.
func (p *pair) answers(ctx context.Context, i int, r request, conditions []string) string {
	handler, as := p.sides[i].administration, []string{"Caregate-Actor", p.actor.String()}
	if r.looks {
		handler, as = p.sides[i].decisions, []string{"Authorization", "Bearer " + tokenOf(p.actor)}
	}
	headers := append(append(as, "X-Request-ID", "r-1"), conditions...)
	base := "/organisations/" + p.names[i]
	path, text := base+r.path, r.text()
	if !r.pages {
		return send(ctx, handler, r.method, path, text, headers...).comparable()
	}
	var out strings.Builder
	for turn := 0; ; turn++ {
		got := send(ctx, handler, r.method, path, text, headers...)
		out.WriteString(got.comparable() + "\n")
		var page struct{ Next string }
		if json.Unmarshal([]byte(got.body), &page) != nil || page.Next == "" || turn > 30 {
			return out.String()
		}
		if r.byPost {
			body := maps.Clone(r.body.(object))
			body["after"] = page.Next
			text = request{body: body}.text()
		} else {
			path = base + r.path + "&after=" + url.QueryEscape(page.Next)
		}
	}
}

// failure is a request that told two organisations apart.
type failure struct {
	how, detail string
	pair        *pair
	before      [2]world // as they were when it was sent
	request     request
	number      uint64 // of the pair
	answers     [2]string
}

// What a status is followed by if both organisations were changed, if they were told apart by what no answer can hide, and
// if the actor is another one from here on.
const (
	changed = " changed"
	told    = " told"
	ended   = " ended"
)

// anotherActor says whether a request changed the record of the actor. From then on they are asked about with other rights, and
// what the policy tells them by those is told to them.
func (p *pair) anotherActor(f *failure) bool {
	own := key{p.actor.typ, p.actor.id}
	return f.before[0].content(own) != p.worlds[0].content(own)
}

// try sends a request to both, and returns how they were told apart, or nil, and the pair is as it is then.
func (p *pair) try(ctx context.Context, r request) (f *failure, status string, err error) {
	f = &failure{pair: p, before: p.worlds, request: r}
	var conditions [2][]string // of both, before one of them changes something
	for i := range p.sides {
		if conditions[i], err = p.conditions(ctx, i, r); err != nil {
			return nil, "", err
		}
	}
	for i := range p.sides {
		f.answers[i] = p.answers(ctx, i, r, conditions[i])
	}
	status = f.answers[0][:3]
	if status == "503" || f.answers[1][:3] == "503" {
		return nil, "503" + ended, nil // a machine that is too busy to answer says nothing of anybody
	}
	if r.looks && p.administers() {
		if f.detail = p.named(f); f.detail != "" {
			f.how = "the answer names somebody hidden"
			return f, status, nil
		}
		return nil, status, nil
	}
	if f.answers[0] != f.answers[1] {
		if p.acted(f) {
			return nil, status + told, nil
		}
		f.how = "the answers differ"
		return f, status, nil
	}
	if !r.writes() || status[0] != '2' {
		return nil, status, nil
	}
	before := p.heads
	for i, s := range p.sides {
		if _, p.heads[i], err = s.look(ctx, p.names[i], key{"role", "root"}); err != nil {
			return nil, "", err
		}
	}
	if p.heads == before {
		return nil, status, nil
	}
	if p.heads[0].Count != p.heads[1].Count {
		f.how, f.detail = "the counts of changes differ", fmt.Sprintf("%d and %d", p.heads[0].Count, p.heads[1].Count)
		return f, status, nil
	}
	if f.detail, err = p.settle(ctx); err != nil || f.detail != "" {
		if err == nil && p.anotherActor(f) {
			return nil, status + ended, nil
		}
		f.how = "what the actor sees differs afterwards"
		return f, status, err
	}
	return nil, status + changed, nil
}

// administers says whether the actor may update settings. Reviews, previews and the remedies of an explanation give
// administrators exact counts of all patients, those whom they do not see included: that is what they are for. So
// two organisations with other patients do not answer alike. What holds is that they name nobody whom the actor does not see.
func (p *pair) administers() bool {
	return p.sights[0].rights[question{action: "update", typ: "settings", id: "any"}]
}

// named is a hidden patient whom an answer names and the request does not.
func (p *pair) named(f *failure) string {
	for i, w := range p.worlds {
		for _, id := range w.of("patient") {
			word := regexp.MustCompile(`\b` + id + `\b`)
			if !p.sights[i].visible[key{"patient", id}] && word.MatchString(f.answers[i]) && !word.MatchString(f.request.text()) {
				return id
			}
		}
	}
	return ""
}
