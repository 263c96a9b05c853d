package secrecy

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caregate/caregate/internal/process"
	"github.com/caregate/caregate/internal/soak"
)

// TestTheProgramTellsNothing is the property over the program itself, on a real Redis, with fewer requests. Explanations,
// reviews and previews are left to the other: on this listener they are asked by a service, which may ask about anybody.
func TestTheProgramTellsNothing(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "caregate")
	if err := process.Build(t.Context(), binary); err != nil {
		t.Fatal(err)
	}
	u := newRun(soak.Seed(t), 600)
	u.looks = false
	both := sync.OnceValue(func() [2]*side { return [2]*side{served(t, binary), served(t, binary)} })
	u.ask(t, func(int) [2]*side { return both() })
}

// served starts the program beside a Redis of its own.
func served(t *testing.T, binary string) *side {
	t.Helper()
	store, address := redis(t)
	command := exec.Command(binary, "serve", "--redis", address, "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0",
		"--diagnostic-addr", "127.0.0.1:0", "--facts-timeout", "10s", "--request-timeout", "1m")
	command.Env = slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "CAREGATE_") }) // they would be settings
	sidecar, err := process.Serve(command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sidecar.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := sidecar.WaitReady(); err != nil {
		t.Fatal(err)
	}
	return &side{store: store, decisions: remote(sidecar.URL("decisions")), administration: remote(sidecar.URL("admin"))}
}

// remote hands requests to a listener of the program.
func remote(address string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := http.NewRequestWithContext(r.Context(), r.Method, address+r.URL.RequestURI(), r.Body)
		if err == nil {
			out.Header, out.ContentLength = r.Header, r.ContentLength
			var got *http.Response
			if got, err = http.DefaultClient.Do(out); err == nil {
				defer func() { _ = got.Body.Close() }()
				for name, values := range got.Header {
					w.Header()[name] = values
				}
				w.WriteHeader(got.StatusCode)
				_, err = io.Copy(w, got.Body)
			}
		}
		if err != nil {
			panic(err)
		}
	})
}
