package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/process"
)

// opaModule is installed as a program, in the version that Caregate embeds.
const opaModule = "github.com/open-policy-agent/opa"

// goCommand runs the go command in the module and returns what it prints.
func goCommand(ctx context.Context, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(exit.Stderr))
	}
	return strings.TrimSpace(string(out)), err
}

// moduleRoot is the folder of go.mod.
func moduleRoot(ctx context.Context) string {
	mod := must(goCommand(ctx, nil, "env", "GOMOD"))
	if mod == "" || mod == os.DevNull {
		check(errors.New("run this in Caregate's repository: it builds from there, and reads OPA's version from go.mod"))
	}
	return filepath.Dir(mod)
}

// installOPA returns the path of an OPA of the version in go.mod. It is built
// once, into bin/tools.
func (s *stage) installOPA(ctx context.Context) (path, version string) {
	version = must(goCommand(ctx, nil, "list", "-m", "-f", "{{.Version}}", opaModule))
	path = filepath.Join(s.root, "bin", "tools", "opa-"+version, "opa")
	if _, err := os.Stat(path); err == nil {
		return path, version
	}
	s.say("building OPA %s into %s, once; this takes a minute or two", version, filepath.Dir(path))
	if _, err := goCommand(ctx, []string{"GOBIN=" + filepath.Dir(path)}, "install", opaModule+"@"+version); err != nil {
		check(fmt.Errorf("the OPA server to compare with cannot be built; it needs a module proxy that has %s: %w", opaModule, err))
	}
	return path, version
}

// startOPA starts an OPA server with its policy and an organisation.
func (s *stage) startOPA(ctx context.Context, o *organisation, service *authz.Service) (p *child, version string) {
	opa, version := s.installOPA(ctx)
	dataFile, policyFile := filepath.Join(s.folder, "data.json"), filepath.Join(s.folder, "policy.rego")
	check(os.WriteFile(dataFile, opaData(ctx, o, service), 0o600))
	check(os.WriteFile(policyFile, must(files.ReadFile("opa/policy.rego")), 0o600))
	addr := must(process.FreeAddress(ctx))
	return s.start(ctx, addr, "http://"+addr+"/health", opa, "run", "--server", "--addr", addr, "--log-level", "error",
		"--skip-version-check", "--optimize-store-for-read-speed", dataFile, policyFile), version //nolint:misspell // OPA's own flag
}

// opaData writes the organisation and the catalogue, in the shape in which
// opa/policy.rego looks them up. What each member holds is expanded here, so that OPA
// has nothing to join.
func opaData(ctx context.Context, o *organisation, service *authz.Service) []byte {
	members, providers, patients := document{}, document{}, document{}
	for _, m := range o.members {
		permissions, _, err := service.Permissions(ctx, organisationName, m.ID, authz.Freshness{})
		check(err)
		members[m.ID] = document{"permissions": permissions, "access": set(m.Access)}
		if m.Provider {
			providers[m.ID] = document{"booking": set(m.Booking)}
		}
	}
	for _, p := range o.patients {
		patients[p.ID] = document{"patient_group": p.PatientGroup, "care_team": set(p.CareTeam)}
	}
	return encode(document{
		"organisation": document{
			"members": members, "providers": providers, "patients": patients, "patient_groups": set(o.patientGroups),
		},
		"catalogue": document{"types": opaTypes()},
	})
}

// opaTypes are those of Caregate's catalogue, each action with the permission that it needs.
func opaTypes() map[string]document {
	var catalogue struct {
		Types map[string]document `json:"types"`
	}
	check(json.Unmarshal(must(fs.ReadFile(data.Files(), "catalogue/data.json")), &catalogue))
	for name, t := range catalogue.Types {
		permissions := document{}
		for action, described := range t["actions"].(document) {
			permissions[action] = name + ":" + action
			if permission, given := described.(document)["permission"]; given {
				permissions[action] = permission
			}
		}
		t["actions"] = permissions
	}
	return catalogue.Types
}

func set(ids []string) map[string]bool {
	s := make(map[string]bool, len(ids))
	for _, id := range ids {
		s[id] = true
	}
	return s
}
