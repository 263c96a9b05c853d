package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"caregate": main})
}

// TestScripts runs the real command as a user does. A script finds the
// addresses of diagnostic listeners in $READY, $STARTING and $HANGING,
// and that of something else in $OTHER.
func TestScripts(t *testing.T) {
	release := make(chan struct{})
	listen := func(h http.HandlerFunc) string {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	ready := listen(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health/ready" {
			http.NotFound(w, r)
		}
	})
	starting := listen(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"status":"not ready","reason":"the facts cannot be read"}`)
	})
	other := listen(http.NotFound)
	hanging := listen(func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	t.Run("scripts", func(t *testing.T) { // ends before the listeners close
		testscript.Run(t, testscript.Params{
			Dir: "testdata/script",
			Setup: func(env *testscript.Env) error {
				env.Setenv("READY", ready)
				env.Setenv("STARTING", starting)
				env.Setenv("HANGING", hanging)
				env.Setenv("OTHER", other)
				return nil
			},
		})
	})
}

// called runs the command in process.
func called(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, environ, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestHelpShowsWhatThereIs(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"help"}} {
		code, stdout, stderr := called(t, nil, args...)
		if code != 0 || stderr != "" {
			t.Errorf("%v: exit code %d, stderr %q", args, code, stderr)
		}
		for _, want := range []string{"Run the sidecar:", "healthcheck", "completion", "CAREGATE_", "Examples:"} {
			if !strings.Contains(stdout, want) {
				t.Errorf("%v: the help lacks %q", args, want)
			}
		}
		if strings.Contains(stdout, "caregate [flags]") {
			t.Errorf("%v: the help offers caregate alone, which only shows the help", args)
		}
	}
}

// Every command must be one that a newcomer can find and try.
func TestEveryCommandHasHelp(t *testing.T) {
	a := newApp(nil, strings.NewReader(""), io.Discard, io.Discard)
	for _, cmd := range a.rootCommand().Commands() {
		if cmd.Short == "" || cmd.GroupID == "" || cmd.Example == "" {
			t.Errorf("%s lacks a Short, a GroupID or an Example", cmd.Name())
		}
		if strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: the Short ends with a full stop", cmd.Name())
		}
	}
}

func TestCompletion(t *testing.T) {
	code, stdout, stderr := called(t, nil, "__complete", "healthcheck", "--log-level", "")
	if code != 0 || !strings.Contains(stdout, "debug\ninfo\nwarn\nerror\n") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	code, stdout, _ = called(t, nil, "__complete", "healthcheck", "--config", "")
	if code != 0 || !strings.Contains(stdout, "yaml\nyml\n:8") {
		t.Errorf("exit code %d, %q", code, stdout)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, stdout, _ := called(t, nil, "completion", shell); code != 0 || !strings.Contains(stdout, "caregate") {
			t.Errorf("%s: exit code %d, %d bytes", shell, code, len(stdout))
		}
	}
}
