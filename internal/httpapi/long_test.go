package httpapi_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/httpapi"
	"github.com/caregate/caregate/internal/review"
)

// slowReviewer previews until it is told to end.
type slowReviewer struct {
	reviewer
	entered, leave chan bool
}

func (r *slowReviewer) Preview(
	ctx context.Context, _ string, _ []admin.Edit, _ review.Viewer, _ authz.Freshness,
) (*review.Preview, authz.Stated, error) {
	r.entered <- true
	select {
	case <-r.leave:
	case <-ctx.Done():
	}
	return &review.Preview{}, authz.Stated{Revision: authz.Revision{Count: 7, Nonce: "ab"}, Policy: "c0ffee"}, nil
}

// When all long answers are taken the next preview is told when to come back, before its
// edits are decoded, and decisions go on.
func TestPreviewsPastTheLimitAreRefusedAndDecisionsGoOn(t *testing.T) {
	r := &slowReviewer{entered: make(chan bool, 3), leave: make(chan bool)}
	c := decisions(t, httpapi.Config{Reviewer: r, MaxLong: 1, RequestTimeout: 200 * time.Millisecond})
	const path, edits = "/v1/previews", `{"edits":[{"link":{"relation":"access","from":"mark","to":"aftercare"}}]}`
	var first sync.WaitGroup
	first.Go(func() {
		if got := c.post(path, edits, "Caregate-Actor", "ada"); got.status != 200 {
			t.Errorf("the preview that was begun: %d %s", got.status, got.body)
		}
	})
	<-r.entered
	for _, body := range []string{edits, `{"edits":[{"no such":{}}]}`} {
		got := c.post(path, body, "Caregate-Actor", "ada")
		if code, _, _ := got.problem(t); got.status != 429 || code != "too-many" || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q, %s", body, got.status, got.header.Get("Retry-After"), got.body)
		}
		c.post("/access/v1/evaluation", good).wantStatus(t, 200)
	}
	close(r.leave)
	first.Wait()
}
