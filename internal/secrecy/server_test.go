package secrecy

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/httpapi"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/redistest"
	"github.com/caregate/caregate/internal/review"
)

// side is a server of its own, with a store of its own. A pair of organisations has one on
// either side, under the same name.
type side struct {
	decisions, administration http.Handler
	store                     *directory.Directory
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// requestTimeout is one that a busy machine keeps.
const requestTimeout = time.Minute

// embedded opens a store in this process.
func embedded(t *testing.T) *directory.Directory {
	t.Helper()
	store, err := directory.OpenEmbedded(directory.Config{FactsTimeout: requestTimeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// redis starts a Redis and opens it.
func redis(t *testing.T) (*directory.Directory, string) {
	t.Helper()
	server, err := redistest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	store, err := directory.Open(directory.Config{URL: server.Unhurried(), FactsTimeout: requestTimeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store, server.Unhurried()
}

// newSide serves what the program serves, in this process.
func newSide(t *testing.T, store *directory.Directory) *side {
	t.Helper()
	snapshot := orgtest.Policy(t)
	service := authz.NewService(store, snapshot)
	c := httpapi.Config{
		Service: service, Administration: admin.NewService(service, store), Reviewer: review.NewService(service, snapshot, store),
		Organisation: "none", RequestTimeout: requestTimeout,
	}
	api, err := httpapi.New(c)
	if err != nil {
		t.Fatal(err)
	}
	c.Verifier = named{} // on the decisions' listener the actor comes with a token of their own, and no service with them
	signed, err := httpapi.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &side{decisions: signed.Decisions(), administration: api.Admin(), store: store}
}

// named believes a token that tokenOf made: who looks at explanations is a test of this package, and whose
// signature is good is one of others.
type named struct{}

func tokenOf(a actor) string { return "test." + hex.EncodeToString([]byte(a.id)) + ".unsigned" }

func (named) Verify(_ context.Context, token string) (httpapi.Bearer, error) {
	id, err := hex.DecodeString(strings.Split(token, ".")[1])
	return httpapi.Bearer{Actor: admin.Actor{Type: "team_member", ID: string(id)}}, err
}

// load imports an organisation, as one change.
func (s *side) load(ctx context.Context, organisation string, w world) error {
	_, err := s.store.Import(ctx, organisation, strings.NewReader(w.lines()), directory.ImportOptions{})
	return err
}

// facts are the organisation as it is.
func (s *side) facts(ctx context.Context, organisation string) (world, error) {
	var out bytes.Buffer
	if _, err := s.store.Export(ctx, organisation, &out); err != nil {
		return nil, err
	}
	return parse(out.String())
}

// look reads past everybody: the newest revision, and the revision of a record, which is its ETag.
func (s *side) look(ctx context.Context, organisation string, k key) (tag string, head authz.Revision, err error) {
	found, head, err := s.store.Records(ctx, organisation, []authz.Key{{Kind: authz.Kind(k.kind), ID: k.id}})
	if err != nil || found[0] == nil {
		return "", head, err
	}
	return `"` + found[0].Since.String() + `"`, head, nil
}

// send asks one of the two listeners.
func send(ctx context.Context, h http.Handler, method, path, body string, headers ...string) answer {
	r := httptest.NewRequestWithContext(ctx, method, "http://127.0.0.1:8181"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:1"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	got := w.Result()
	text, _ := io.ReadAll(got.Body)
	return answer{got.StatusCode, got.Header, string(text)}
}
