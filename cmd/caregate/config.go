package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A setting is a flag of a configurable command, under the same name wherever
// it is set: --facts-timeout, CAREGATE_FACTS_TIMEOUT, or facts-timeout in the
// config file. Environment and file belong to a deployment, not to one command:
// a setting of any command is known to all, and a command takes those it has.

// rank orders the places a value may come from; the higher one wins.
type rank int

const (
	rankDefault rank = iota
	rankFile
	rankEnvironment
	rankFlag
)

// source is where the value of a setting came from. name is how an error
// message names the place, such as "caregate.yaml:3: facts-timeout".
type source struct {
	rank rank
	name string
}

// given is a value that somebody gave to a setting.
type given struct {
	source source
	texts  []string // one, but for a list
	list   bool     // texts are the items of a list in the file
}

const (
	envPrefix      = "CAREGATE_"
	configurableBy = "caregate_configurable" // marks a command
	flagOnlyBy     = "caregate_flag_only"    // marks a flag
)

// configurable makes every flag of cmd a setting. The values are in the
// variables of the flags by the time PreRunE and RunE of cmd run, and
// app.source says where they came from. Call it last, when cmd has its flags.
func (a *app) configurable(cmd *cobra.Command) *cobra.Command {
	if cmd.Annotations == nil {
		cmd.Annotations = make(map[string]string)
	}
	cmd.Annotations[configurableBy] = "true"
	next := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if err := a.resolve(cmd); err != nil || next == nil {
			return err
		}
		return next(cmd, args)
	}
	return cmd
}

// flagOnly says that the flags called names belong to one call of the command
// and are no settings.
func flagOnly(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		must(cmd.Flags().SetAnnotation(name, flagOnlyBy, []string{"true"}))
	}
}

func isSetting(f *pflag.Flag) bool {
	_, only := f.Annotations[flagOnlyBy]
	return !only && f.Name != "help"
}

// settings returns the names of the settings of all configurable commands.
func settings(root *cobra.Command) map[string]bool {
	names := make(map[string]bool)
	add := func(f *pflag.Flag) {
		if isSetting(f) {
			names[f.Name] = true
		}
	}
	root.PersistentFlags().VisitAll(add)
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Annotations[configurableBy] != "" {
			cmd.Flags().VisitAll(add)
			cmd.PersistentFlags().VisitAll(add)
		}
		for _, child := range cmd.Commands() {
			visit(child)
		}
	}
	visit(root)
	return names
}

// resolve gives every flag of cmd that the command line did not set the value
// from the environment, else from the config file. All that is wrong is
// reported at once.
func (a *app) resolve(cmd *cobra.Command) error {
	names := settings(cmd.Root())
	environment, err := a.environment(names)
	errs := []error{err}
	var file map[string]given
	if path := configPath(cmd, environment); path != "" {
		file, err = readConfig(path, names)
		errs = append(errs, err)
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !isSetting(f) {
			return
		}
		if f.Changed {
			a.sources[f.Name] = source{rankFlag, "--" + f.Name}
			if list, ok := f.Value.(pflag.SliceValue); f.Value.String() == "" || ok && len(list.GetSlice()) == 0 {
				errs = append(errs, fmt.Errorf("--%s: %w", f.Name, errEmpty))
			}
			return
		}
		value, ok := environment[f.Name]
		if !ok {
			value, ok = file[f.Name]
		}
		if !ok {
			return
		}
		if err := value.set(f); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", value.source.name, err))
			return
		}
		a.sources[f.Name] = value.source
	})
	return errors.Join(errs...)
}

// configPath returns the file that --config or CAREGATE_CONFIG names.
func configPath(cmd *cobra.Command, environment map[string]given) string {
	if f := cmd.Flags().Lookup("config"); f.Changed {
		return f.Value.String()
	}
	if g, ok := environment["config"]; ok {
		return g.texts[0]
	}
	return ""
}

// environment returns the settings in the environment.
func (a *app) environment(names map[string]bool) (map[string]given, error) {
	values := make(map[string]given)
	var errs []error
	for _, variable := range slices.Sorted(maps.Keys(a.environ)) {
		if !strings.HasPrefix(variable, envPrefix) {
			continue
		}
		name := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(variable, envPrefix), "_", "-"))
		switch {
		case names[name] && variable == envName(name):
			if a.environ[variable] == "" {
				errs = append(errs, fmt.Errorf("%s: %w", variable, errEmpty))
				continue
			}
			values[name] = given{source: source{rankEnvironment, variable}, texts: []string{a.environ[variable]}}
		case !isServiceLink(variable):
			errs = append(errs, fmt.Errorf("%s: there is no such setting%s", variable, a.hint(variable, name, names)))
		}
	}
	return values, errors.Join(errs...)
}

func envName(name string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// isServiceLink reports whether Kubernetes makes the variable in every pod
// next to a Service called caregate.
func isServiceLink(variable string) bool {
	return variable == envPrefix+"PORT" ||
		strings.HasPrefix(variable, envPrefix+"PORT_") || strings.HasPrefix(variable, envPrefix+"SERVICE_")
}

// hint says what an unknown variable may be: one that Kubernetes made for a
// Service whose name begins with caregate-, or a setting misspelt.
func (a *app) hint(variable, name string, names map[string]bool) string {
	for _, mark := range []string{"_SERVICE_", "_PORT_", "_PORT"} {
		service, _, found := strings.Cut(variable, mark)
		if _, linked := a.environ[service+"_SERVICE_HOST"]; found && linked {
			return "; Kubernetes made it for a Service, turn that off with enableServiceLinks: false in the pod"
		}
	}
	return didYouMean(name, slices.Collect(maps.Keys(names)), envName)
}

// errEmpty refuses a setting without a value. Somebody meant to set it: taking the
// default, such as no tokens or no Redis, would open what they meant to close.
var errEmpty = errors.New("is empty; give it a value, or do not set it")

// set gives f the value.
func (g given) set(f *pflag.Flag) error {
	if len(g.texts) == 0 || slices.Contains(g.texts, "") {
		return errEmpty
	}
	if slice, ok := f.Value.(pflag.SliceValue); ok {
		texts := g.texts
		if !g.list {
			texts = splitList(texts[0])
		}
		if err := slice.Replace(texts); err != nil {
			return badValue(f, strings.Join(texts, ","), err)
		}
	} else {
		if g.list {
			return errors.New("takes one value, not a list")
		}
		if err := f.Value.Set(g.texts[0]); err != nil {
			return badValue(f, g.texts[0], err)
		}
	}
	f.Changed = true
	return nil
}

// splitList reads a list in one text: items with commas between them.
func splitList(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// badValue says what the value of a flag should have been. The value of a
// flag of an unknown type is not repeated: it may be a secret.
func badValue(f *pflag.Flag, value string, cause error) error {
	switch typ := f.Value.Type(); {
	case typ == "duration":
		return fmt.Errorf("%q is not a duration; write something like 250ms, 2s or 1m", value)
	case typ == "bool":
		return fmt.Errorf("%q is neither true nor false", value)
	case strings.HasPrefix(typ, "int"):
		return fmt.Errorf("%q is not a whole number in range", value)
	case strings.HasPrefix(typ, "uint"):
		return fmt.Errorf("%q is not a whole number from 0 up, or too large", value)
	default:
		return cause
	}
}

// oneOf returns which of the settings called names is in force when only one
// can be: the one from the highest place, so that a flag wins over another
// one's environment variable; "" when none is set. Two from one place are an
// error. It is for RunE, once the settings are resolved.
func (a *app) oneOf(names ...string) (string, error) {
	var best, rival string
	for _, name := range names {
		s, set := a.sources[name]
		switch {
		case !set || best != "" && s.rank < a.sources[best].rank:
		case best == "" || s.rank > a.sources[best].rank:
			best, rival = name, ""
		default:
			rival = name
		}
	}
	if rival != "" {
		return "", fmt.Errorf("%s and %s exclude each other; set one of them", a.sources[best].name, a.sources[rival].name)
	}
	return best, nil
}

// source returns where the setting called name got its value; the zero source
// means that it has its default.
func (a *app) source(name string) source { return a.sources[name] }
