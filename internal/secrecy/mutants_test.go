package secrecy

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// leaks are small ways in which administration could tell whether the record of a path, or one that edits name, is there.
var leaks = map[string]func(there bool, w *httptest.ResponseRecorder){
	"another status": func(there bool, w *httptest.ResponseRecorder) {
		if there && w.Code == http.StatusNotFound {
			w.Code = http.StatusForbidden
		}
	},
	"another word": func(there bool, w *httptest.ResponseRecorder) {
		if there && w.Code >= 400 {
			w.Body = bytes.NewBuffer(bytes.Replace(w.Body.Bytes(), []byte("; "), []byte(", "), 1))
		}
	},
	"another header": func(there bool, w *httptest.ResponseRecorder) {
		if there {
			w.Header().Set("Vary", "Caregate-Actor")
		}
	},
	"a success that is none": func(there bool, w *httptest.ResponseRecorder) {
		if there && w.Code == http.StatusForbidden {
			w.Code, w.Body = http.StatusNoContent, new(bytes.Buffer)
		}
	},
}

// TestTheTestNoticesALeak has a handler leak, each time in one way, and expects the property to find it.
func TestTheTestNoticesALeak(t *testing.T) {
	t.Parallel()
	for name, leak := range leaks {
		t.Run(name, func(t *testing.T) {
			mutant(t, func(h http.Handler, r *http.Request, body string, w *httptest.ResponseRecorder) {
				leak(isThere(h, r, body), w)
			})
		})
	}
	t.Run("a count of all", func(t *testing.T) {
		mutant(t, func(h http.Handler, r *http.Request, _ string, w *httptest.ResponseRecorder) {
			if r.Method == http.MethodGet && w.Code == http.StatusOK {
				all := send(r.Context(), h, http.MethodGet, r.URL.Path, "", "Caregate-Actor", "root")
				w.Header().Set("X-Total", strconv.Itoa(strings.Count(all.body, `"`)))
			}
		})
	})
}

// mutant compares with a handler that changes its answers, until that was found.
func mutant(t *testing.T, change func(h http.Handler, r *http.Request, body string, w *httptest.ResponseRecorder)) {
	t.Helper()
	u := newRun(1, 20_000)
	u.most = 1
	u.leak = func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			got := httptest.NewRecorder()
			h.ServeHTTP(got, r)
			change(h, r, string(body), got)
			for name, values := range got.Header() {
				w.Header()[name] = values
			}
			w.Header().Set("Content-Length", strconv.Itoa(got.Body.Len()))
			w.WriteHeader(got.Code)
			_, _ = io.Copy(w, got.Body)
		})
	}
	u.all(t, func(worker int) [2]*side { return u.within(t, worker) })
	if len(u.found) == 0 {
		t.Errorf("not found: %+v", u.seen)
	}
	t.Logf("found after %d requests", u.seen.cases)
}

// edited are the records that a body of edits names.
var edited = regexp.MustCompile(`"id":"([a-z0-9]+)","kind":"([a-z_]+)"`)

// isThere says whether a request is about a record that is there, whoever asks.
func isThere(h http.Handler, r *http.Request, body string) bool {
	parts := strings.Split(r.URL.Path, "/") // "", organisations, {organisation}, directory, v1, collection, id, …
	var paths []string
	if len(parts) > 6 {
		paths = append(paths, strings.Join(parts[:7], "/"))
	}
	for _, found := range edited.FindAllStringSubmatch(body, -1) {
		paths = append(paths, strings.Join(append(parts[:5:5], collections[found[2]], found[1]), "/"))
	}
	for _, path := range paths {
		if send(r.Context(), h, http.MethodGet, path, "", "Caregate-Actor", "root").status == http.StatusOK {
			return true
		}
	}
	return false
}
