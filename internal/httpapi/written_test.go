package httpapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/httpapi"
)

// overtaken is an Administration in which somebody changes something right after each
// change, before it is answered.
type overtaken struct {
	*admin.Service
	after func(ctx context.Context)
}

func (o *overtaken) Apply(
	ctx context.Context, organisation string, actor admin.Actor, edits []admin.Edit, options admin.Options,
) (admin.Committed, error) {
	done, err := o.Service.Apply(ctx, organisation, actor, edits, options)
	o.after(ctx)
	return done, err
}

func (o *overtaken) Change(
	ctx context.Context, organisation string, actor admin.Actor, key authz.Key, patch admin.Fields, options admin.Options,
) (admin.Committed, error) {
	done, err := o.Service.Change(ctx, organisation, actor, key, patch, options)
	o.after(ctx)
	return done, err
}

// The answer to a write states the revision of the write, and shows the record as it was
// then: what somebody else did to it meanwhile is not told as if the write had done it.
func TestAWriteIsAnsweredAtItsRevision(t *testing.T) {
	service, decisions := parts(t)
	role, spare := "doctor", "spare"
	to := spare
	o := &overtaken{service, func(context.Context) {}}
	c := serve(t, newAPI(t, httpapi.Config{Service: decisions, Administration: o}).Admin())
	give := func(ctx context.Context) {
		edit := admin.Edit{Op: admin.Set, Key: authz.Key{Kind: authz.KindTeamMember, ID: "rita"}, Fields: admin.Fields{"role": to}}
		if _, err := service.Apply(ctx, "riverside", admin.Actor{Type: "team_member", ID: "ada"}, []admin.Edit{edit}, admin.Options{}); err != nil {
			t.Error(err)
		}
	}
	at := func() string { return c.read("/team-members/rita").header.Get("Caregate-Revision") }
	for _, how := range []struct{ method, body string }{
		{http.MethodPatch, `{"role":""}`},
		{http.MethodPut, `{"groups":["ward"]}`},
	} {
		// Alone: nothing to be done, and said at the revision that there is.
		o.after = func(context.Context) {}
		c.ada(http.MethodPatch, "/team-members/rita", `{"role":""}`).wantStatus(t, 200)
		before := at()
		got := c.ada(how.method, "/team-members/rita", how.body).wantStatus(t, 200)
		if stated := got.header.Get("Caregate-Revision"); stated != before || !strings.Contains(got.body, `"groups":["ward"]`) || strings.Contains(got.body, "doctor") {
			t.Errorf("%s without effect: at %s, not %s: %s", how.method, stated, before, got.body)
		}
		// Somebody else changes something that is not the record: the answer is the same.
		o.after = func(ctx context.Context) {
			edit := admin.Edit{Op: admin.Set, Key: authz.Key{Kind: authz.KindPatientGroup, ID: "cardio"}, Fields: admin.Fields{"name": how.method}}
			if _, err := service.Apply(ctx, "riverside", admin.Actor{Type: "team_member", ID: "ada"}, []admin.Edit{edit}, admin.Options{}); err != nil {
				t.Error(err)
			}
		}
		again := c.ada(how.method, "/team-members/rita", how.body).wantBody(t, 200, got.body)
		if stated := again.header.Get("Caregate-Revision"); stated != before || at() == before {
			t.Errorf("%s: at %s, not %s; now it is %s", how.method, stated, before, at())
		}
		// Somebody gives the member a role: that is not what this write did.
		before, to = at(), role
		o.after = give
		again = c.ada(how.method, "/team-members/rita", how.body).
			wantBody(t, 200, `{"revision":"`+before+`","changed":false}`)
		if stated := again.header.Get("Caregate-Revision"); stated != before {
			t.Errorf("%s: at %s, not %s", how.method, stated, before)
		}
		// And a write that does something, overtaken likewise.
		to = spare
		again = c.ada(how.method, "/team-members/rita", how.body).wantStatus(t, 200)
		if stated := again.header.Get("Caregate-Revision"); stated == at() || !strings.Contains(again.body, `"`+stated+`","changed":true`) {
			t.Errorf("%s: at %s, and now it is %s: %s", how.method, stated, at(), again.body)
		}
	}
}
