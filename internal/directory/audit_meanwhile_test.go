package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/audit"
	"github.com/caregate/caregate/internal/directory/script"
)

// Changes in the meantime are no breaches, and the range of revisions shows them.
func TestAuditWhileFactsChange(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		r := random(t)
		s.changesKept = 50 // so that changes are forgotten during an audit as well
		s.randomly(t, r, 200)
		ctx, cancel := context.WithCancel(t.Context())
		var importing sync.WaitGroup
		importing.Go(func() {
			for ctx.Err() == nil {
				s.randomly(t, r, 1)
			}
		})
		moved := 0
		for range 60 {
			if done := s.clean(t); done.First != done.Last {
				moved++
			}
		}
		cancel()
		importing.Wait()
		if moved < 20 {
			t.Errorf("the facts changed during %d audits only", moved)
		}
	})
}

// Facts of another history do not look like damage of the ones before.
func TestAuditWhileFactsAreReplaced(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		r := random(t)
		for more := range 3 {
			s.raw.FlushAll(t.Context())
			s.load(t, manyPatients(30)...)
			s.randomly(t, r, 10)
			replaced, found := false, 0
			_, err := s.Audit(t.Context(), s.org, audit.Config{
				Report: func(f audit.Finding) error {
					if !f.Advice {
						found++
					}
					return nil
				},
				Review: func(context.Context, *authz.Fact, *authz.Facts) error {
					if !replaced {
						replaced = true
						s.raw.FlushAll(t.Context())
						s.load(t, manyPatients(20)...)
						s.randomly(t, r, 10*more)
					}
					return nil
				},
			})
			if authz.KindOf(err) != authz.Conflict || !strings.Contains(err.Error(), "run it again") || found > 0 {
				t.Errorf("%d breaches, %v", found, err)
			}
			s.clean(t)
		}
	})
}

// What was repaired before the end is not reported; what was not is.
func TestAuditReportsWhatStillHolds(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		prefix := strings.TrimSuffix(script.HeadKey(s.org), "head")
		ctx := t.Context()
		for _, key := range []string{"access:diabetes", "group-members:stock", "care:mark"} {
			s.raw.Del(ctx, prefix+key)
		}
		s.raw.ZAdd(ctx, prefix+"bookable:diabetes", redis.Z{Member: "noor"})
		s.raw.ZAdd(ctx, prefix+"bookable:aftercare", redis.Z{Member: "noor"})
		s.raw.Set(ctx, prefix+"rubbish", "x", 0)
		var found []string
		repaired := false
		done, err := s.Audit(ctx, s.org, audit.Config{
			Report: func(f audit.Finding) error {
				found = append(found, fmt.Sprintf("%s %s: %s", f.Kind, f.ID, f.What))
				return nil
			},
			Review: func(context.Context, *authz.Fact, *authz.Facts) error { // after all was looked at once
				if repaired {
					return nil
				}
				repaired = true
				s.raw.ZAdd(ctx, prefix+"access:diabetes", redis.Z{Member: "mark"})
				s.raw.ZRem(ctx, prefix+"bookable:diabetes", "noor")
				s.raw.Del(ctx, prefix+"rubbish")
				s.load(t, `{"kind":"role","id":"new","permissions":[]}`)
				return nil
			},
		})
		want := []string{
			"patient p-1: is not in care:mark, which its care_team says it is in",
			"team_member mark: is not in group-members:stock, which its groups says it is in",
			"team_member noor: is in bookable:aftercare, which its own fields do not say",
		}
		if got := slices.DeleteFunc(sorted(found), func(f string) bool { return strings.Contains(f, "nobody") || strings.Contains(f, "no members") }); err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, found %q, expected %q", err, got, want)
		}
		if done.Breaches != 3 || done.Last.Count != done.First.Count+1 {
			t.Errorf("done is %+v", done)
		}
	})
}
