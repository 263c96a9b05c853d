package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/policies"
)

// policySource says where the policy is.
type policySource struct {
	policies, data string // folders, "" for what is embedded
}

func (s *policySource) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.policies, "policies", "", "read Rego and schemas from this `folder` instead of the embedded policy")
	flags.StringVar(&s.data, "data", "", "read the catalogue and other data from this `folder` instead of the embedded data")
	must(cmd.MarkFlagDirname("policies"))
	must(cmd.MarkFlagDirname("data"))
}

// readSource reads the policy without compiling it.
func (s *policySource) readSource() (*policy.Source, error) {
	rego, err := folder("--policies", s.policies, policies.Files)
	if err != nil {
		return nil, err
	}
	documents, err := folder("--data", s.data, data.Files())
	if err != nil {
		return nil, err
	}
	return policy.Read(rego, documents)
}

// load reads and compiles the policy.
func (s *policySource) load(ctx context.Context) (*policy.Snapshot, error) {
	source, err := s.readSource()
	if err != nil {
		return nil, err
	}
	return policy.Compile(ctx, source, policy.Config{})
}

// folder returns the tree at path, or embedded when there is no path.
func folder(flag, path string, embedded fs.FS) (fs.FS, error) {
	if path == "" {
		return embedded, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s: %s is a file; name the folder it is in", flag, path)
	}
	return os.DirFS(path), nil
}

// factsSource says where the facts are: in Redis, or in an embedded store that
// is filled from a file or from the example organisation.
type factsSource struct {
	redis        redisConnection
	file         string
	organisation string
	timeout      time.Duration
	changesKept  int
	changesBytes int64
}

func (s *factsSource) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.file, "facts", "", "keep the facts in an embedded store, filled from this JSON Lines `file`")
	must(cmd.MarkFlagFilename("facts", "jsonl"))
	s.redis.flags(cmd)
	flags.DurationVar(&s.timeout, "facts-timeout", 250*time.Millisecond, "give up on reading the facts of one request after this long")
	organisationFlag(flags, &s.organisation)
}

// changesFlags are for who writes: how many changes are remembered.
func (s *factsSource) changesFlags(flags *pflag.FlagSet) {
	flags.IntVar(&s.changesKept, "changes-kept", directory.DefaultChangesKept, "remember this many `changes` of an organisation, the latest ones")
	flags.Int64Var(&s.changesBytes, "changes-bytes", directory.DefaultChangesBytes, "but no more of them than fit in this many `bytes`")
}

// checkChanges refuses to remember nothing: sidecars could not follow.
func (s *factsSource) checkChanges() error {
	if s.changesKept < 1 {
		return errors.New("--changes-kept: must be at least 1; sidecars follow the changes that are remembered")
	}
	if s.changesBytes < 1 {
		return errors.New("--changes-bytes: must be at least 1; sidecars follow the changes that are remembered")
	}
	return nil
}

func organisationFlag(flags *pflag.FlagSet, organisation *string) {
	flags.StringVar(organisation, "organisation", data.ExampleOrganisation, "`name` of the organisation that is meant where none is named")
}

// embedded reports whether the facts live and end with this process.
func (s *factsSource) embedded(a *app) (bool, error) {
	which, err := a.oneOf("redis", "facts")
	if err != nil {
		return false, err
	}
	if which == "facts" {
		s.redis = redisConnection{}
	}
	return s.redis.url == "", s.redis.unused()
}

// openStore opens the store, and fills an embedded one. records says with how many
// records it was filled.
func (s *factsSource) openStore(ctx context.Context, embedded bool) (d *directory.Directory, records int, err error) {
	config := s.redis.config()
	config.FactsTimeout, config.ChangesKept, config.ChangesBytes = s.timeout, s.changesKept, s.changesBytes
	if !embedded {
		d, err = directory.Open(config)
		return d, 0, err
	}
	if d, err = directory.OpenEmbedded(config); err != nil {
		return nil, 0, err
	}
	var facts io.ReadCloser
	name := "the example organisation"
	if s.file != "" {
		name = s.file
		facts, err = os.Open(s.file)
	} else {
		facts, err = data.OpenExample()
	}
	if err == nil {
		var done directory.Imported
		done, err = d.Import(ctx, s.organisation, facts, directory.ImportOptions{})
		records = done.Records
		err = errors.Join(err, facts.Close())
	}
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("--facts: %s: %w", name, err), d.Close())
	}
	return d, records, nil
}
