package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/authz"
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
func moduleRoot(ctx context.Context) (string, error) {
	mod, err := goCommand(ctx, nil, "env", "GOMOD")
	if err == nil && (mod == "" || mod == os.DevNull) {
		err = errors.New("run this in Caregate's repository: it builds from there, and reads OPA's version from go.mod")
	}
	return filepath.Dir(mod), err
}

// installOPA returns the path of an OPA of the version in go.mod. It is built
// once, into bin/tools.
func installOPA(ctx context.Context, root string, progress io.Writer) (path, version string, err error) {
	version, err = goCommand(ctx, nil, "list", "-m", "-f", "{{.Version}}", opaModule)
	if err != nil {
		return "", "", fmt.Errorf("find OPA's version: %w", err)
	}
	tools := filepath.Join(root, "bin", "tools")
	name := "opa"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	path = filepath.Join(tools, "opa-"+version, name)
	if _, err := os.Stat(path); err == nil {
		return path, version, nil
	}
	_, _ = fmt.Fprintf(progress, "building OPA %s into %s, once; this takes a minute or two\n", version, filepath.Dir(path))
	if err := os.MkdirAll(tools, 0o755); err != nil { //nolint:gosec // holds programs
		return "", "", err
	}
	building, err := os.MkdirTemp(tools, "opa-building-")
	if err != nil {
		return "", "", err
	}
	defer func() { _ = os.RemoveAll(building) }()
	if _, err := goCommand(ctx, []string{"GOBIN=" + building}, "install", opaModule+"@"+version); err != nil {
		return "", "", fmt.Errorf("the OPA server to compare with cannot be built; it needs a module proxy that has %s: %w", opaModule, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // holds a program
		return "", "", err
	}
	return path, version, os.Rename(filepath.Join(building, name), path)
}

// startOPA starts an OPA server with its policy and the organisation, and
// returns its address.
func startOPA(ctx context.Context, opa, folder string, o *organisation, service *authz.Service) (*process, string, error) {
	document, err := opaData(ctx, o, service)
	if err != nil {
		return nil, "", err
	}
	rules, err := files.ReadFile("opa/policy.rego")
	if err != nil {
		return nil, "", err
	}
	dataFile, policyFile := filepath.Join(folder, "data.json"), filepath.Join(folder, "policy.rego")
	if err := errors.Join(os.WriteFile(dataFile, document, 0o600), os.WriteFile(policyFile, rules, 0o600)); err != nil {
		return nil, "", err
	}
	addr, err := freePort(ctx)
	if err != nil {
		return nil, "", err
	}
	p, err := start(ctx, io.Discard, opa, "run", "--server", "--addr", addr, "--log-level", "error",
		"--skip-version-check", "--optimize-store-for-read-speed", dataFile, policyFile) //nolint:misspell // OPA's own flag
	if err != nil {
		return nil, "", err
	}
	if err := p.ready(ctx, "http://"+addr+"/health", 20*time.Millisecond, 3*time.Minute); err != nil {
		p.stop()
		return nil, "", err
	}
	return p, addr, nil
}

// The organisation as a document, in the shape in which opa/policy.rego looks it up.
type (
	opaMember struct {
		Permissions map[string]authz.Grant `json:"permissions"`
		Access      map[string]bool        `json:"access"`
	}
	opaProvider struct {
		Booking map[string]bool `json:"booking"`
	}
	opaPatient struct {
		PatientGroup string          `json:"patient_group"`
		CareTeam     map[string]bool `json:"care_team"`
	}
	opaType struct {
		Facts      string            `json:"facts,omitempty"`
		References map[string]any    `json:"references,omitempty"`
		Actions    map[string]string `json:"actions"` // to the permission that each needs
	}
	opaOrganisation struct {
		Members       map[string]opaMember   `json:"members"`
		Providers     map[string]opaProvider `json:"providers"`
		Patients      map[string]opaPatient  `json:"patients"`
		PatientGroups map[string]bool        `json:"patient_groups"`
	}
)

// opaData writes the organisation and the catalogue. What each member holds is
// expanded here, so that OPA has nothing to join.
func opaData(ctx context.Context, o *organisation, service *authz.Service) ([]byte, error) {
	types, err := opaTypes()
	if err != nil {
		return nil, err
	}
	org := opaOrganisation{
		Members: map[string]opaMember{}, Providers: map[string]opaProvider{},
		Patients: map[string]opaPatient{}, PatientGroups: set(o.patientGroups),
	}
	for _, m := range o.members {
		permissions, _, err := service.Permissions(ctx, organisationName, m.ID, authz.Freshness{})
		if err != nil {
			return nil, err
		}
		org.Members[m.ID] = opaMember{permissions, set(m.Access)}
		if m.Provider {
			org.Providers[m.ID] = opaProvider{set(m.Booking)}
		}
	}
	for _, p := range o.patients {
		org.Patients[p.ID] = opaPatient{p.PatientGroup, set(p.CareTeam)}
	}
	return json.Marshal(map[string]any{"organisation": org, "catalogue": map[string]any{"types": types}})
}

// opaTypes reads Caregate's catalogue.
func opaTypes() (map[string]opaType, error) {
	file, err := data.Files().Open("catalogue/data.json")
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var catalogue struct {
		Types map[string]struct {
			Facts      string         `json:"facts"`
			References map[string]any `json:"references"`
			Actions    map[string]struct {
				Permission string `json:"permission"`
			} `json:"actions"`
		} `json:"types"`
	}
	if err := json.NewDecoder(file).Decode(&catalogue); err != nil {
		return nil, err
	}
	types := map[string]opaType{}
	for name, t := range catalogue.Types {
		actions := map[string]string{}
		for action, how := range t.Actions {
			if actions[action] = how.Permission; how.Permission == "" {
				actions[action] = name + ":" + action
			}
		}
		types[name] = opaType{t.Facts, t.References, actions}
	}
	return types, nil
}

func set(ids []string) map[string]bool {
	s := make(map[string]bool, len(ids))
	for _, id := range ids {
		s[id] = true
	}
	return s
}
