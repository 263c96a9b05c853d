package directory

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/redistest"
)

// The reader works through Sentinels that ask who is there, where replicas are asked
// for too.
func TestUsersOfDeployWithSentinels(t *testing.T) {
	t.Parallel()
	rules := aclRules(t)
	r := startReplicated(t, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "10")
	for _, s := range append([]*redistest.Server{r.Master}, r.Replicas...) {
		rules["reader"].made(t, s)
	}
	for _, s := range r.Sentinels {
		rules["sentinel"].made(t, s)
		_, err := s.Do("ACL", "SETUSER", "default", "resetpass", "nopass", "-@all", "+ping", "+sentinel|is-master-down-by-addr", "+hello", "+auth")
		must(t)(err)
	}
	direct := openFor(t, "redis://127.0.0.1:"+fmt.Sprint(r.Link.Port()))
	defer closed(t, direct)
	_, err := direct.Import(t.Context(), exactOrganisation, strings.NewReader(strings.Join(smallClinic(), "\n")), ImportOptions{})
	must(t)(err)
	op := admin.Link
	change := func() authz.Revision {
		if op = admin.Unlink; rand.IntN(2) == 0 {
			op = admin.Link
		}
		done, err := direct.Commit(t.Context(), exactOrganisation, admin.Change{Edits: []admin.Edit{access(op, "closed")}, Author: admin.Author{Via: "api"}})
		must(t)(err)
		return done.Revision
	}
	url := strings.Replace(r.URL(), "://", "://caregate-sentinel:"+rules["sentinel"].password+"@", 1) + "&username=caregate-reader&password=" + rules["reader"].password
	if err := decides(t, url, CacheConfig{}, change); err != nil {
		t.Error(err)
	}
	if err := decides(t, url, CacheConfig{MinReplicas: 1}, change); err != nil {
		t.Error(err)
	}
	if err := decides(t, strings.Replace(url, rules["sentinel"].password, "wrong", 1), CacheConfig{}, change); err == nil {
		t.Error("a Sentinel takes a wrong password")
	}
}

// The users work in a cluster, with what its clients need.
func TestUsersOfDeployInACluster(t *testing.T) {
	t.Parallel()
	rules := aclRules(t)
	c := startCluster(t)
	for _, node := range c.Nodes {
		for _, rule := range rules {
			if rule.user == "caregate-sentinel" {
				continue
			}
			rule.rule = append(slices.Clone(rule.rule), "+cluster|slots")
			rule.made(t, node)
		}
	}
	direct := openFor(t, c.URL())
	defer closed(t, direct)
	_, err := direct.Import(t.Context(), exactOrganisation, strings.NewReader(strings.Join(smallClinic(), "\n")), ImportOptions{})
	must(t)(err)
	op := admin.Link
	change := func() authz.Revision {
		if op = admin.Unlink; rand.IntN(2) == 0 {
			op = admin.Link
		}
		done, err := direct.Commit(t.Context(), exactOrganisation, admin.Change{Edits: []admin.Edit{access(op, "closed")}, Author: admin.Author{Via: "api"}})
		must(t)(err)
		return done.Revision
	}
	as := func(user string) string {
		return strings.Replace(c.URL(), "://", "://"+rules[user].user+":"+rules[user].password+"@", 1)
	}
	for what, err := range map[string]error{
		"reader": decides(t, as("reader"), CacheConfig{}, change), "writer": administers(t, as("writer")), "auditor": audits(t, as("auditor")),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
