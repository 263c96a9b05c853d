package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/httpapi"
)

const benchBody = `{"subject":{"type":"team_member","id":"mark"},"action":{"name":"view"},` +
	`"resource":{"type":"appointment","id":"a-1","properties":{"patient":"p-1","provider":"mark"}},` +
	`"context":{"time":"2026-06-27T18:03:00Z"}}`

const benchContext = `{"reasons":["patient_visible","permission_granted"],"permission":"appointment:view",` +
	`"granted_by":{"role":"practitioner","groups":["clinicians"]},"routes":["care_team","patient_group_access"]}`

// instant answers at once.
type instant struct{}

func (instant) Decide(context.Context, string, *authz.Request, authz.Freshness) (authz.Decision, authz.Stated, error) {
	return authz.Decision{Allow: true, Context: json.RawMessage(benchContext)},
		authz.Stated{Revision: authz.Revision{Count: 12, Nonce: "ab34cd"}, Policy: "9f86d081884c7d65"}, nil
}

func (instant) DecideAll(
	_ context.Context, _ string, rs []*authz.Request, _ authz.Semantic, _ authz.Freshness,
) ([]authz.Decision, []error, authz.Stated, error) {
	return make([]authz.Decision, len(rs)), make([]error, len(rs)), authz.Stated{}, nil
}

func (instant) Permissions(context.Context, string, string, authz.Freshness) (map[string]authz.Grant, authz.Stated, error) {
	return nil, authz.Stated{}, nil
}

// BenchmarkEvaluation is the whole way of an evaluation through the API, with a
// service that answers at once.
func BenchmarkEvaluation(b *testing.B) {
	api, err := httpapi.New(httpapi.Config{Service: instant{}, Organisation: "riverside"})
	if err != nil {
		b.Fatal(err)
	}
	benchmark(b, api.Decisions(), benchBody)
}

// BenchmarkEvaluations is a batch of ten.
func BenchmarkEvaluations(b *testing.B) {
	api, err := httpapi.New(httpapi.Config{Service: instant{}, Organisation: "riverside"})
	if err != nil {
		b.Fatal(err)
	}
	var items bytes.Buffer
	for i := range 10 {
		if i > 0 {
			items.WriteByte(',')
		}
		fmt.Fprintf(&items, `{"resource":{"type":"patient","id":"p-%d"}}`, i)
	}
	benchmark(b, api.Decisions(), `{"subject":{"type":"team_member","id":"mark"},"action":{"name":"view"},"evaluations":[`+items.String()+`]}`)
}

// BenchmarkBareEcho is what to compare it with: Echo with its own middleware
// for the same duties, and a handler that decodes and encodes the same JSON with
// encoding/json.
func BenchmarkBareEcho(b *testing.B) {
	e := echo.New()
	e.Use(middleware.Recover(), middleware.RequestID(), middleware.BodyLimit("1M"), middleware.ContextTimeout(time.Second))
	type entity struct {
		Type       string         `json:"type"`
		ID         string         `json:"id"`
		Properties map[string]any `json:"properties"`
	}
	type request struct {
		Subject entity `json:"subject"`
		Action  struct {
			Name       string         `json:"name"`
			Properties map[string]any `json:"properties"`
		} `json:"action"`
		Resource entity         `json:"resource"`
		Context  map[string]any `json:"context"`
	}
	type response struct {
		Decision bool            `json:"decision"`
		Context  json.RawMessage `json:"context"`
	}
	e.POST("/access/v1/evaluation", func(c echo.Context) error {
		var r request
		if err := json.NewDecoder(c.Request().Body).Decode(&r); err != nil {
			return err
		}
		h := c.Response().Header()
		h.Set("Caregate-Revision", "12.ab34cd")
		h.Set("Caregate-Policy", "9f86d081884c7d65")
		h.Set("Cache-Control", "no-store")
		return c.JSON(http.StatusOK, response{true, json.RawMessage(benchContext)})
	})
	benchmark(b, e, benchBody)
}

func benchmark(b *testing.B, h http.Handler, body string) {
	path := "/access/v1/evaluation"
	if bytes.Contains([]byte(body), []byte(`"evaluations"`)) {
		path += "s"
	}
	raw := []byte(body)
	reader := bytes.NewReader(raw)
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, path, reader)
	source := r.Body
	r.Header.Set("Content-Type", "application/json")
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(raw)
		r.Body = source // a middleware may have wrapped it
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}
