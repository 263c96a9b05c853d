package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// example is a command with a setting of each type.
type example struct {
	Addr    []string
	Facts   string
	Redis   string
	Timeout time.Duration
	Batch   int
	Open    bool
	Once    string
	chosen  string
	sources map[string]source
}

// resolved runs the example command with a config file, unless it is "", and
// another configurable command beside it.
func resolved(t *testing.T, file string, environ []string, args ...string) (*example, error) {
	t.Helper()
	a := newApp(environ, strings.NewReader(""), io.Discard, io.Discard)
	root := a.rootCommand()
	var e example
	cmd := &cobra.Command{Use: "example", RunE: func(*cobra.Command, []string) (err error) {
		e.chosen, err = a.oneOf("facts", "redis")
		return err
	}}
	flags := cmd.Flags()
	flags.StringArrayVar(&e.Addr, "addr", []string{"127.0.0.1:8181"}, "")
	flags.StringVar(&e.Facts, "facts", "", "")
	flags.StringVar(&e.Redis, "redis", "", "")
	flags.DurationVar(&e.Timeout, "facts-timeout", 250*time.Millisecond, "")
	flags.IntVar(&e.Batch, "max-batch", 1000, "")
	flags.BoolVar(&e.Open, "allow-unauthenticated", false, "")
	flags.StringVar(&e.Once, "once", "", "")
	flagOnly(cmd, "once")
	other := &cobra.Command{Use: "other", Run: func(*cobra.Command, []string) {}}
	other.Flags().String("server", "", "")
	root.AddCommand(a.configurable(cmd), a.configurable(other))

	args = append([]string{"example"}, args...)
	if file != "" {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	root.SetArgs(args)
	root.SetOut(io.Discard)
	err := root.ExecuteContext(t.Context())
	e.sources = a.sources
	return &e, err
}

func defaults() example {
	return example{Addr: []string{"127.0.0.1:8181"}, Timeout: 250 * time.Millisecond, Batch: 1000}
}

func TestFlagsThenEnvironmentThenFile(t *testing.T) {
	for _, test := range []struct {
		name string
		file string
		env  []string
		args []string
		want func(*example)
	}{
		{"defaults", "", nil, nil, func(*example) {}},
		{"file", "facts-timeout: 1s\nmax-batch: 5\nallow-unauthenticated: true\naddr: [\"a:1\", 'unix:///x,y']\n", nil, nil, func(e *example) {
			e.Timeout, e.Batch, e.Open, e.Addr = time.Second, 5, true, []string{"a:1", "unix:///x,y"}
		}},
		{"one of a list", "addr: a:1\n", nil, nil, func(e *example) { e.Addr = []string{"a:1"} }},
		{"anchors", "facts: &f x.jsonl\nserver: *f\n", nil, nil, func(e *example) { e.Facts = "x.jsonl" }},
		{"an empty file", "# nothing\n", nil, nil, func(*example) {}},
		{"environment", "", []string{
			"CAREGATE_FACTS_TIMEOUT=2s", "CAREGATE_ADDR=a:1, b:2", "CAREGATE_ALLOW_UNAUTHENTICATED=1", "CAREGATE_FACTS=x=y",
		}, nil, func(e *example) {
			e.Timeout, e.Addr, e.Open, e.Facts = 2*time.Second, []string{"a:1", "b:2"}, true, "x=y"
		}},
		{"environment over file", "facts-timeout: 1s\nmax-batch: 5\n", []string{"CAREGATE_FACTS_TIMEOUT=2s"}, nil, func(e *example) {
			e.Timeout, e.Batch = 2*time.Second, 5
		}},
		{"flag over both", "facts-timeout: 1s\naddr: [f:1, f:2]\n", []string{"CAREGATE_FACTS_TIMEOUT=2s", "CAREGATE_ADDR=e:1"},
			[]string{"--facts-timeout", "3s", "--addr", "a:1", "--addr", "b:2"}, func(e *example) {
				e.Timeout, e.Addr = 3*time.Second, []string{"a:1", "b:2"}
			}},
		{"a flag set to its default is set", "max-batch: 5\n", nil, []string{"--max-batch", "1000"}, func(*example) {}},
		{"settings of another command are known", "server: http://x\n", []string{"CAREGATE_SERVER=http://y"}, nil, func(*example) {}},
		{"a Service called caregate", "", []string{
			"CAREGATE_SERVICE_HOST=10.0.0.1", "CAREGATE_SERVICE_PORT=80", "CAREGATE_SERVICE_PORT_HTTP=80", "CAREGATE_PORT=tcp://10.0.0.1:80",
			"CAREGATE_PORT_80_TCP=tcp://10.0.0.1:80", "CAREGATE_PORT_80_TCP_ADDR=10.0.0.1",
		}, nil, func(*example) {}},
		{"other people's variables", "", []string{"CAREGATEWAY=1", "caregate_x=1", "PATH=/bin"}, nil, func(*example) {}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := resolved(t, test.file, test.env, test.args...)
			if err != nil {
				t.Fatal(err)
			}
			want := defaults()
			test.want(&want)
			got.chosen, got.sources = "", nil
			if !reflect.DeepEqual(*got, want) {
				t.Errorf("got  %+v\nwant %+v", *got, want)
			}
		})
	}
}

func TestAWrongSettingIsNamedWithItsPlace(t *testing.T) {
	for _, test := range []struct {
		name string
		file string
		env  []string
		args []string
		want string // "FILE" stands for the path of the config file
	}{
		{"duration in a flag", "", nil, []string{"--facts-timeout", "9"}, `--facts-timeout: "9" is not a duration; write something like 250ms, 2s or 1m`},
		{"duration in a variable", "", []string{"CAREGATE_FACTS_TIMEOUT=9"}, nil, `CAREGATE_FACTS_TIMEOUT: "9" is not a duration; write something like 250ms, 2s or 1m`},
		{"duration in the file", "\nfacts-timeout: 9\n", nil, nil, `FILE:2: facts-timeout: "9" is not a duration; write something like 250ms, 2s or 1m`},
		{"number in a variable", "", []string{"CAREGATE_MAX_BATCH=many"}, nil, `CAREGATE_MAX_BATCH: "many" is not a whole number in range`},
		{"yes in the file", "allow-unauthenticated: yes\n", nil, nil, `FILE:1: allow-unauthenticated: "yes" is neither true nor false`},
		{"level in a variable", "", []string{"CAREGATE_LOG_LEVEL=loud"}, nil, `CAREGATE_LOG_LEVEL: "loud" is not a log level; use debug, info, warn or error`},
		{"no value for a flag", "", nil, []string{"--facts"}, `--facts: needs a value`},
		{"misspelt flag", "", nil, []string{"--max-bacth=1"}, `--max-bacth: there is no such flag; did you mean --max-batch?`},
		{"misspelt variable", "", []string{"CAREGATE_MAX_BACTH=1"}, nil, `CAREGATE_MAX_BACTH: there is no such setting; did you mean CAREGATE_MAX_BATCH?`},
		{"empty unknown variable", "", []string{"CAREGATE_MAX_BACTH="}, nil, `CAREGATE_MAX_BACTH: there is no such setting; did you mean CAREGATE_MAX_BATCH?`},
		{"dashed variable", "", []string{"CAREGATE_max-batch=1"}, nil, `CAREGATE_max-batch: there is no such setting; did you mean CAREGATE_MAX_BATCH?`},
		{"misspelt key", "max_batch: 1\n", nil, nil, `FILE:1: max_batch: there is no such setting; did you mean max-batch?`},
		{"nothing near", "qqqqqqqq: 1\n", nil, nil, `FILE:1: qqqqqqqq: there is no such setting`},
		{"merge key", "<<: {facts: x}\n", nil, nil, `FILE:1: <<: there is no such setting`},
		{"a flag that is no setting", "once: x\n", []string{"CAREGATE_HELP=1"}, nil, "CAREGATE_HELP: there is no such setting\nFILE:1: once: there is no such setting"},
		{"twice", "facts: a\nfacts: b\n", nil, nil, `FILE:2: facts: is set twice; keep one`},
		{"no value", "facts:\n", nil, nil, `FILE:1: facts: has no value; give it one or delete the line`},
		{"list for one", "facts: [a, b]\n", nil, nil, `FILE:1: facts: takes one value, not a list`},
		{"nested", "facts: {a: b}\n", nil, nil, `FILE:1: facts: must be a plain value or a list`},
		{"nested in a list", "addr:\n- a: b\n", nil, nil, `FILE:1: addr: line 2: an item of a list must be a plain value`},
		{"file in a file", "config: x\n", nil, nil, `FILE:1: config: a config file cannot name another; use --config or CAREGATE_CONFIG`},
		{"list of lines", "- facts\n", nil, nil, `FILE:1: not a list of settings; write one a line, such as facts-timeout: 250ms`},
		{"two documents", "facts: a\n---\nfacts: b\n", nil, nil, `FILE: more than one document; a config file has one`},
		{"a Service called caregate-redis", "", []string{"CAREGATE_REDIS_SERVICE_HOST=10.0.0.1", "CAREGATE_REDIS_PORT=tcp://10.0.0.1:6379"}, nil,
			"CAREGATE_REDIS_PORT: there is no such setting; Kubernetes made it for a Service, turn that off with enableServiceLinks: false in the pod\n" +
				"CAREGATE_REDIS_SERVICE_HOST: there is no such setting; Kubernetes made it for a Service, turn that off with enableServiceLinks: false in the pod"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := resolved(t, test.file, test.env, test.args...)
			if err == nil {
				t.Fatal("no error")
			}
			if got := withoutDir(err.Error()); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// withoutDir writes FILE for the path of the config file.
func withoutDir(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if _, after, ok := strings.Cut(line, "/c.yaml:"); ok {
			lines[i] = "FILE:" + after
		}
	}
	return strings.Join(lines, "\n")
}

func TestAFileThatIsNoYAMLIsNamed(t *testing.T) {
	_, err := resolved(t, "facts: [a\n", nil)
	if err == nil || !strings.Contains(err.Error(), "c.yaml: yaml: line") {
		t.Errorf("error %v", err)
	}
}

func TestOfSettingsThatExcludeEachOtherTheNearestWins(t *testing.T) {
	for _, test := range []struct {
		file string
		env  []string
		args []string
		want string
		err  string
	}{
		{"", nil, nil, "", ""},
		{"facts: a\n", nil, nil, "facts", ""},
		{"facts: a\n", []string{"CAREGATE_REDIS=b"}, nil, "redis", ""},
		{"redis: a\n", []string{"CAREGATE_REDIS=b"}, []string{"--facts", "c"}, "facts", ""},
		{"", []string{"CAREGATE_REDIS=b", "CAREGATE_FACTS=b"}, []string{"--facts", "c"}, "facts", ""},
		{"", []string{"CAREGATE_REDIS=b", "CAREGATE_FACTS=b"}, nil, "", "CAREGATE_FACTS and CAREGATE_REDIS exclude each other; set one of them"},
		{"", nil, []string{"--redis", "b", "--facts", "c"}, "", "--facts and --redis exclude each other; set one of them"},
	} {
		t.Run(fmt.Sprint(test.file, test.env, test.args), func(t *testing.T) {
			e, err := resolved(t, test.file, test.env, test.args...)
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("error %v, want %s", err, test.err)
				}
				return
			}
			if err != nil || e.chosen != test.want {
				t.Errorf("chose %q, %v, want %q", e.chosen, err, test.want)
			}
		})
	}
}

func TestTheSourceOfASettingIsKnown(t *testing.T) {
	e, err := resolved(t, "max-batch: 5\n", []string{"CAREGATE_REDIS=b"}, "--addr", "a:1")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{sources: e.sources}
	for name, want := range map[string]source{
		"addr": {rankFlag, "--addr"}, "redis": {rankEnvironment, "CAREGATE_REDIS"}, "facts": {},
	} {
		if got := a.source(name); got != want {
			t.Errorf("%s came from %v, want %v", name, got, want)
		}
	}
	if got := a.source("max-batch"); got.rank != rankFile || withoutDir(got.name) != "FILE:1: max-batch" {
		t.Errorf("max-batch came from %v", got)
	}
}

func TestResolveRunsBeforeTheCommandsOwnPreRun(t *testing.T) {
	a := newApp([]string{"CAREGATE_FACTS=x"}, strings.NewReader(""), io.Discard, io.Discard)
	root := a.rootCommand()
	var facts, seen string
	cmd := &cobra.Command{
		Use:     "example",
		PreRunE: func(*cobra.Command, []string) error { seen = facts; return nil },
		RunE:    func(*cobra.Command, []string) error { return nil },
	}
	cmd.Flags().StringVar(&facts, "facts", "", "")
	must(cmd.MarkFlagRequired("facts")) // the environment satisfies it
	root.AddCommand(a.configurable(cmd))
	root.SetArgs([]string{"example"})
	if err := root.ExecuteContext(t.Context()); err != nil || seen != "x" {
		t.Errorf("saw %q, %v", seen, err)
	}
}

// The table of settings that operators read must be what serve does.
func TestTheOperatorsTableIsTrue(t *testing.T) {
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	a := newApp(nil, strings.NewReader(""), io.Discard, io.Discard)
	root := a.rootCommand()
	serve, _, err := root.Find([]string{"serve"})
	if err != nil || serve == root {
		t.Fatalf("there is no serve: %v", err)
	}
	documented := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| ([^|]+) \\|").FindAllStringSubmatch(string(page), -1) {
		documented[row[1]] = strings.Trim(row[2], "`")
	}
	check := func(f *pflag.Flag) {
		if !isSetting(f) || f.Hidden {
			return
		}
		value := strings.Trim(f.DefValue, "[]")
		if value == "" {
			value = "none"
		}
		if got, ok := documented[f.Name]; !ok || got != value {
			t.Errorf("--%s has the default %q, docs/operating.md says %q", f.Name, value, got)
		}
		delete(documented, f.Name)
	}
	serve.InheritedFlags().VisitAll(check)
	serve.NonInheritedFlags().VisitAll(check)
	for name := range documented {
		t.Errorf("docs/operating.md describes --%s, which serve does not have", name)
	}
}
