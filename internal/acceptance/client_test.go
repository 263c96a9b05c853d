package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// client keeps connections for every test that wants one, and never follows a
// redirect.
var client = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 32, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       patience,
}

// reply is any answer over HTTP.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) String() string {
	return fmt.Sprintf("%d %s %s", r.status, r.header.Get("Content-Type"), bytes.TrimSpace(r.body))
}

// send makes a request with a JSON body: a string or []byte as it is, anything
// else encoded, none for nil. Headers come in pairs.
func send(ctx context.Context, method, url string, body any, headers ...string) (reply, error) {
	var in io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(body)
	case []byte:
		in = bytes.NewReader(body)
	default:
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(body); err != nil {
			return reply{}, err
		}
		in = &b
	}
	request, err := http.NewRequestWithContext(ctx, method, url, in)
	if err != nil {
		return reply{}, err
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for pair := range slices.Chunk(headers, 2) {
		switch {
		case pair[1] == "":
			request.Header.Del(pair[0])
		case pair[0] == "Host":
			request.Host = pair[1]
		default:
			request.Header.Set(pair[0], pair[1])
		}
	}
	response, err := client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	out, err := io.ReadAll(response.Body)
	return reply{status: response.StatusCode, header: response.Header, body: out}, err
}

func post(t *testing.T, url string, body any, headers ...string) reply {
	t.Helper()
	return sent(t, http.MethodPost, url, body, headers...)
}

func get(t *testing.T, url string, headers ...string) reply {
	t.Helper()
	return sent(t, http.MethodGet, url, nil, headers...)
}

// sent is send for a test that ends without an answer.
func sent(t *testing.T, method, url string, body any, headers ...string) reply {
	t.Helper()
	return try(send(t.Context(), method, url, body, headers...)).must(t)
}

// decode reads the body of an answer that has to be a 200.
func decode[T any](t *testing.T, r reply) T {
	t.Helper()
	var out T
	require(t, r.status == http.StatusOK, "got %v, expected 200", r)
	unmarshal(t, r.body, &out)
	return out
}

// grant says who grants a permission.
type grant struct {
	Role   string   `json:"role"`
	Groups []string `json:"groups"`
}

// reasons is the context of a decision of the default policy.
type reasons struct {
	Reasons    []string        `json:"reasons"`
	Permission string          `json:"permission"`
	GrantedBy  *grant          `json:"granted_by"`
	Routes     []string        `json:"routes"`
	References []string        `json:"references"`
	Error      json.RawMessage `json:"error"`
}

// decision is the answer to one evaluation. Decision is nil when the member is
// missing.
type decision struct {
	Decision *bool    `json:"decision"`
	Context  *reasons `json:"context"`
}

func (d decision) allowed() bool { return d.Decision != nil && *d.Decision }

func (d decision) reasons() reasons {
	if d.Context == nil {
		return reasons{}
	}
	return *d.Context
}

func (d decision) String() string {
	b, _ := json.Marshal(d)
	return string(b)
}

// problem is an RFC 9457 document.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Field     string `json:"field"`
	RequestID string `json:"request_id"`
}

// refused checks that an answer is a whole problem document with that status,
// and no decision of any kind.
func refused(t *testing.T, r reply, status int) problem {
	t.Helper()
	var p problem
	require(t, r.status == status, "got %v, expected status %d", r, status)
	if got := r.header.Get("Content-Type"); !strings.HasPrefix(got, "application/problem+json") {
		t.Errorf("Content-Type is %q, expected application/problem+json: %v", got, r)
	}
	unmarshal(t, r.body, &p)
	var members map[string]any
	_ = json.Unmarshal(r.body, &members)
	for _, name := range []string{"decision", "evaluations", "result", "allow"} {
		if _, there := members[name]; there {
			t.Errorf("a refusal has the member %q: %v", name, r)
		}
	}
	check(t, p.Status == status && p.Title != "" && p.Detail != "" && strings.HasPrefix(p.Type, "urn:caregate:problem:"), "an incomplete problem document: %v", r)
	if id := r.header.Get("X-Request-ID"); id == "" || id != p.RequestID {
		t.Errorf("X-Request-ID %q, request_id %q, expected the same: %v", id, p.RequestID, r)
	}
	return p
}
