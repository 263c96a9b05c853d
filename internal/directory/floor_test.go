package directory

import (
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/redistest"
)

// A change that this process commits in another history than the one that it follows
// ends what it knows, although the other one is shorter.
func TestAChangeInAnotherHistoryEndsTheOneThatIsFollowed(t *testing.T) {
	x := scene(t, 1, smallClinic()...)
	_, err := x.server.Do("SAVE")
	must(t)(err)
	for range 5 {
		x.commit(x.sidecars[0], access(admin.Link, "open"))
		x.commit(x.sidecars[0], access(admin.Unlink, "open"))
	}
	slow, err := NewCache(x.open(x.sidecars[0].proxy.URL(), 0), CacheConfig{MaxStaleness: time.Hour}) // which looks every quarter of it
	must(t)(err)
	defer func() { must(t)(slow.Close()) }()
	s := &sidecar{cache: slow, service: authz.NewService(slow, exactPolicy(t))}
	s.ready(t)
	x.server.Kill()
	must(t)(x.server.Restart())
	var own admin.Committed
	must(t)(redistest.Await(10*time.Second, "a change is committed", func() bool {
		own, err = slow.Commit(t.Context(), exactOrganisation, admin.Change{Edits: []admin.Edit{access(admin.Link, "open")}})
		return err == nil
	}))
	must(t)(redistest.Await(10*time.Second, "the sidecar answers", func() bool {
		d, stated, err := s.service.Decide(t.Context(), exactOrganisation, views(), authz.Freshness{})
		if err == nil && (!d.Allow || stated.Revision != own.Revision) {
			t.Fatalf("allowed %t at %s after %s was committed here", d.Allow, stated.Revision, own.Revision)
		}
		return err == nil
	}))
	s.ready(t)
}
