package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// build says what this binary was built from. A field is empty when the build
// did not record it.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"`     // of the commit
	Modified bool   `json:"modified,omitempty"` // the tree was not as committed
	Go       string `json:"go"`
	Platform string `json:"platform"`
	OPA      string `json:"opa,omitempty"`
}

// readBuild reads what the Go tool wrote into this binary.
func readBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{GoVersion: runtime.Version()}
	}
	return buildOf(info)
}

func buildOf(info *debug.BuildInfo) build {
	b := build{
		Version:  info.Main.Version,
		Go:       strings.TrimPrefix(info.GoVersion, "go"),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "devel"
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = setting.Value
		case "vcs.time":
			b.Time = setting.Value
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	for _, module := range info.Deps {
		if module.Path == "github.com/open-policy-agent/opa" {
			if module.Replace != nil {
				module = module.Replace
			}
			b.OPA = strings.TrimPrefix(module.Version, "v")
		}
	}
	return b
}

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Say which Caregate this is, and which Go and OPA are in it",
		Example: "  caregate version\n  caregate version --json",
		GroupID: groupOther,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			if asJSON {
				return json.NewEncoder(a.stdout).Encode(b)
			}
			_, err := fmt.Fprint(a.stdout, b)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

// String is the text of the version, a line for each part.
func (b build) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "caregate %s %s\n", b.Version, b.Platform)
	if b.Commit != "" {
		modified := ""
		if b.Modified {
			modified = ", modified"
		}
		fmt.Fprintf(&s, "commit   %s (%s%s)\n", b.Commit, b.Time, modified)
	}
	fmt.Fprintf(&s, "go       %s\n", b.Go)
	if b.OPA != "" {
		fmt.Fprintf(&s, "opa      %s\n", b.OPA)
	}
	return s.String()
}
