package directory

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/audit"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/redistest"
)

// halfMoved is an organisation whose slot is on its way from one node to another.
type halfMoved struct {
	*testing.T
	d        *Directory
	careless *redis.ClusterClient // go-redis as it comes
	move     *redistest.Move
	before   string // the facts, as they are exported
}

func newHalfMoved(t *testing.T, c *redistest.Cluster) *halfMoved {
	h := &halfMoved{T: t, d: openFor(t, c.URL())}
	t.Cleanup(func() { closed(t, h.d) })
	options, err := redis.ParseClusterURL(strings.Replace(c.URL(), "redis+cluster", "redis", 1))
	must(t)(err)
	h.careless = redis.NewClusterClient(options)
	t.Cleanup(func() { _ = h.careless.Close() })
	_, err = h.d.Import(t.Context(), exactOrganisation, strings.NewReader(strings.Join(smallClinic(), "\n")), ImportOptions{})
	must(t)(err)
	var exported strings.Builder
	_, err = h.d.Export(t.Context(), exactOrganisation, &exported)
	must(t)(err)
	h.before = exported.String()
	from, slot := owner(t, c)
	to := c.Nodes[0]
	if from == to {
		to = c.Nodes[1]
	}
	h.move, err = c.BeginMove(slot, from, to)
	must(t)(err)
	return h
}

// moved moves keys, named without what all have in common.
func (h *halfMoved) moved(names ...string) {
	h.Helper()
	for _, name := range names {
		must(h.T)(h.move.Keys("cg:{riverside}:" + name))
	}
}

// arrived moves what is left and ends the move.
func (h *halfMoved) arrived() {
	h.Helper()
	for n := 1; n > 0; {
		var err error
		n, err = h.move.Some(100)
		must(h.T)(err)
	}
	must(h.T)(h.move.End())
}

// everything is what both nodes have.
func (h *halfMoved) everything() map[string]string {
	h.Helper()
	all := map[string]string{}
	for i, node := range []*redistest.Server{h.move.From, h.move.To} {
		keys, err := node.Do("CLUSTER", "GETKEYSINSLOT", strconv.Itoa(h.move.Slot), "10000")
		must(h.T)(err)
		for _, key := range keys.([]any) {
			name := key.(string)
			// No command may read a key of a slot that is on its way, but MIGRATE and
			// DUMP where it is, and RESTORE.
			value, err := h.dump(node, name)
			must(h.T)(err)
			all[fmt.Sprint(i, " ", name)] = value
		}
	}
	return all
}

// dump reads a key of either node.
func (h *halfMoved) dump(node *redistest.Server, key string) (string, error) {
	client := redis.NewClient(&redis.Options{Addr: node.Addr()})
	defer func() { _ = client.Close() }()
	pipe := client.Pipeline()
	pipe.Do(h.Context(), "asking")
	value := pipe.Dump(h.Context(), key)
	_, err := pipe.Exec(h.Context())
	return value.Val(), err
}

func found(t *testing.T, client redis.UniversalClient, d *Directory, key authz.Key) (bool, error) {
	t.Helper()
	asked := []authz.Key{key}
	args := readArgs(asked, 0)
	reply, err := d.scripts.Read.RunRO(t.Context(), client, []string{script.HeadKey(exactOrganisation)}, args...).Slice()
	if err != nil {
		return false, err
	}
	facts, err := factsOf(reply, asked)
	if err != nil {
		return false, err
	}
	return facts.Get(key).Found, nil
}

// refuses fails the test if a read or a change gets an answer, or if a change
// leaves anything behind.
func (h *halfMoved) refuses(what string, keys []authz.Key, edits ...admin.Edit) {
	h.Helper()
	for _, key := range keys {
		_, err := h.d.Read(h.Context(), exactOrganisation, []authz.Key{key}, authz.Freshness{})
		if authz.KindOf(err) != authz.Unavailable || err == nil {
			h.Errorf("%s: reading %v: %v", what, key, err)
		}
	}
	before := h.everything()
	for _, edit := range edits {
		_, err := h.d.Commit(h.Context(), exactOrganisation, admin.Change{Edits: []admin.Edit{edit}, Author: admin.Author{Via: "api"}})
		if authz.KindOf(err) != authz.Unavailable || err == nil {
			h.Errorf("%s: changing %+v: %v", what, edit, err)
		}
	}
	if !maps.Equal(before, h.everything()) {
		h.Errorf("%s: a change that was refused left something behind", what)
	}
}

// intact fails the test unless an audit finds nothing and, with same, the facts are
// those of before.
func (h *halfMoved) intact(same bool) {
	h.Helper()
	var now strings.Builder
	err := redistest.Await(20*time.Second, "an export and an audit", func() bool {
		now.Reset()
		_, err := h.d.Export(h.Context(), exactOrganisation, &now)
		audited, err2 := h.d.Audit(h.Context(), exactOrganisation, audit.Config{})
		if audited.Breaches > 0 {
			h.Errorf("audit: %+v", audited)
		}
		return err == nil && err2 == nil
	})
	must(h.T)(err)
	if same && now.String() != h.before {
		h.Errorf("the facts are not those of before:\n%s", now.String())
	}
}

// While keys of one organisation are at two nodes, none of them is taken for one
// that does not exist, whichever are where.
func TestAHalfMovedSlotHidesNothing(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	eve, nobody := member("eve"), member("nobody")
	put := admin.Edit{Op: admin.Put, Record: &admin.Record{Kind: authz.KindTeamMember, ID: "eve", Role: "nurse"}}
	fresh := admin.Edit{Op: admin.Put, Record: &admin.Record{Kind: authz.KindPatient, ID: "p-new", PatientGroup: "open"}}

	for what, gone := range map[string][]string{
		"nothing has left":             nil,
		"the member has left":          {"team_member:eve"},
		"the member and list have":     {"team_member:eve", "ids:team_member"},
		"the stream has left":          {"changes"},
		"the head has left":            {"head"},
		"head, stream and list have":   {"head", "changes", "ids:team_member"},
		"all but the member have left": {"head", "changes", "ids:team_member", "ids:role", "ids:patient", "role:nurse", "access:closed", "role-members:nurse"},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHalfMoved(t, c)
			h.moved(gone...)
			asked := []authz.Key{nobody}
			edits := []admin.Edit{fresh}
			if gone != nil {
				asked = append(asked, eve)
				edits = append(edits, put)
			}
			if what == "the stream has left" {
				asked = asked[:1] // eve is where the head is
			}
			h.refuses(what, asked, edits...)
			if what == "the head has left" {
				// What this is about: who follows an ASK finds no eve.
				if is, err := found(t, h.careless, h.d, eve); err != nil || is {
					t.Errorf("go-redis follows ASK no more: found %t, %v", is, err)
				}
			}
			h.arrived()
			h.intact(true)
			if facts, err := h.d.Read(t.Context(), exactOrganisation, []authz.Key{eve}, authz.Freshness{}); err != nil || !facts.Get(eve).Found {
				t.Errorf("after the move: %v", err)
			}
		})
	}
}

// A change that empties an index and fills it again is whole where the slot is on
// its way: its node may not make a key anew.
func TestAChangeOfAnIndexThatRunsEmptyWhileItsSlotIsMoved(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	h := newHalfMoved(t, c)
	done, err := h.d.Commit(t.Context(), exactOrganisation, admin.Change{
		Author: admin.Author{Via: "api"},
		Edits: []admin.Edit{
			{Op: admin.Unlink, Relation: admin.Access, From: "eve", To: "closed"},
			{Op: admin.Link, Relation: admin.Access, From: "amara", To: "closed"},
		},
	})
	if err != nil || !done.Changed {
		t.Errorf("%+v, %v", done, err)
	}
	h.arrived()
	h.intact(false)
}
