package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/authz"
)

func TestExitCodes(t *testing.T) {
	a := newApp([]string{"A=b"}, nil, nil, nil)
	if a.getenv("A") != "b" || a.getenv("B") != "" {
		t.Error("the environment is not what was given")
	}
	type want struct {
		code   int
		stderr string
	}
	tests := map[error]want{
		nil:                               {0, ""},
		answeredNo{}:                      {2, ""},
		fmt.Errorf("w: %w", answeredNo{}): {2, ""},
		errors.New("broken"):              {1, "caregate: broken\n"},
		errors.Join(errors.New("a"), errors.New("b")): {1, "caregate: a\ncaregate: b\n"},
		usagef("give one of %s", "them"):              {1, "caregate: give one of them\nusage: caregate example FILE\nTry \"caregate example --help\".\n"},
		context.Canceled:                              {1, "caregate: context canceled\n"},
	}
	for kind := authz.Internal; kind <= authz.Timeout; kind++ {
		tests[authz.Errorf(kind, "redis", "cannot be reached")] = want{1, "caregate: redis: cannot be reached\n"}
	}
	for err, want := range tests {
		t.Run(fmt.Sprint(err), func(t *testing.T) {
			var stderr bytes.Buffer
			a := newApp(nil, nil, nil, &stderr)
			root := a.rootCommand()
			root.AddCommand(&cobra.Command{Use: "example FILE", DisableFlagsInUseLine: true, RunE: func(*cobra.Command, []string) error { return err }})
			root.SetArgs([]string{"example"})
			cmd, got := root.ExecuteContextC(t.Context())
			if code := a.exit(cmd, got); code != want.code || stderr.String() != want.stderr {
				t.Errorf("exit code %d, stderr %q, want %d, %q", code, &stderr, want.code, want.stderr)
			}
		})
	}
}

func TestBuild(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.8",
		Main:      debug.Module{Version: "v1.2.3"},
		Deps: []*debug.Module{
			{Path: "github.com/labstack/echo/v4", Version: "v4.16.0"},
			{Path: "github.com/open-policy-agent/opa", Version: "v1.22.2"},
		},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "0123abc"}, {Key: "vcs.time", Value: "2026-11-21T00:00:00Z"}, {Key: "vcs.modified", Value: "true"},
		},
	}
	b := buildOf(info)
	for _, line := range []string{"caregate v1.2.3 ", "commit   0123abc (2026-11-21T00:00:00Z, modified)", "go       1.26.8", "opa      1.22.2"} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("%q lacks %q", b, line)
		}
	}
	if b := buildOf(&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}); b.Version != "devel" || strings.Contains(b.String(), "commit") {
		t.Errorf("made up %q", b)
	}
}

func TestDialAddr(t *testing.T) {
	for addr, want := range map[string]string{
		":8282":                 "tcp 127.0.0.1:8282",
		"0.0.0.0:8282":          "tcp 127.0.0.1:8282",
		"[::]:8282":             "tcp [::1]:8282",
		"10.1.2.3:9":            "tcp 10.1.2.3:9",
		"http://localhost:8282": "tcp localhost:8282",
		"unix:///run/c.sock":    "unix /run/c.sock",
		"":                      "",
		"localhost":             "",
		"localhost:":            "",
		"https://localhost:1":   "",
	} {
		network, address, err := dialAddr(addr)
		if want == "" {
			if err == nil {
				t.Errorf("%q was accepted as %s %s", addr, network, address)
			}
			continue
		}
		if got := network + " " + address; err != nil || got != want {
			t.Errorf("%q: dial %s, %v, want %s", addr, got, err, want)
		}
	}
}
