package acceptance

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// example is a command of a console block with the answer that is shown below it.
type example struct {
	at      string // document:line
	command string
	answer  string
}

// examples returns those of the console blocks of a document, in order. A command begins
// with "$ " and goes on while a quote is open or a line ends with a backslash.
func (d *document) examples() []example {
	var found []example
	for _, b := range d.blocks {
		if b.language != "console" {
			continue
		}
		open := false
		for _, l := range b.lines {
			command, begins := strings.CutPrefix(l.text, "$ ")
			switch {
			case begins && !open:
				found = append(found, example{at: fmt.Sprintf("%s:%d", d.path, l.number), command: command})
			case len(found) == 0:
				continue
			case open:
				found[len(found)-1].command += "\n" + l.text
			default:
				found[len(found)-1].answer += l.text + "\n"
				continue
			}
			_, err := words(found[len(found)-1].command)
			open = err != nil
		}
	}
	return found
}

var errOpen = errors.New("the command goes on")

// words splits a command as a shell does, as far as documents need it.
func words(command string) ([]string, error) {
	var out []string
	var word strings.Builder
	started := false
	for rest := command; rest != ""; {
		c := rest[0]
		rest = rest[1:]
		switch c {
		case '\'', '"':
			quoted, after, closed := strings.Cut(rest, string(c))
			if !closed {
				return nil, errOpen
			}
			word.WriteString(quoted)
			rest, started = after, true
		case '\\':
			if rest == "" {
				return nil, errOpen
			}
			if rest[0] != '\n' {
				word.WriteByte(rest[0])
				started = true
			}
			rest = rest[1:]
		case ' ', '\n':
			if started {
				out = append(out, word.String())
				word.Reset()
				started = false
			}
		default:
			word.WriteByte(c)
			started = true
		}
	}
	if started {
		out = append(out, word.String())
	}
	return out, nil
}

// TestTheExamplesOfTheDocumentsAreTrue asks the binary what the documents say that it
// answers, document after document, each with the example organisation as it is at first.
//
// A text that ends with … in a shown answer stands for any text that begins so: revisions,
// decision ids and request ids. A member "…" of an object and a last element "…" of an
// array stand for others that are left out.
func TestTheExamplesOfTheDocumentsAreTrue(t *testing.T) {
	t.Parallel()
	found := 0
	for _, d := range documents(t) {
		examples := d.examples()
		if len(examples) == 0 {
			continue
		}
		found += len(examples)
		t.Run(strings.ReplaceAll(d.path, "/", "_"), func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			for _, e := range examples {
				e.try(t, s)
			}
		})
	}
	check(t, found >= 20, "%d examples were found", found)
}

func (e example) try(t *testing.T, s *server) {
	t.Helper()
	w, err := words(e.command)
	if err != nil || len(w) == 0 {
		t.Errorf("%s: %q cannot be read: %v", e.at, e.command, err)
		return
	}
	var got string
	switch w[0] {
	case "curl":
		got = e.ask(t, s, w[1:])
	case "caregate":
		w = slices.Clone(w[1:])
		for i, word := range w {
			if path := filepath.Join(repository, word); i > 0 && (w[i-1] == "--policies" || w[i-1] == "--data" || w[i-1] == "--facts") {
				w[i] = absolute(t, path)
			}
		}
		r := run(t, "", w...)
		got = r.stdout + r.stderr
		if r.code == 1 {
			t.Errorf("%s: exit code 1: %s", e.at, got)
		}
	default:
		t.Errorf("%s: %s is not known here; a block whose commands are not tried is no console block", e.at, w[0])
		return
	}
	check(t, answers(e.answer, got), "%s: the answer is\n%s\nand not\n%s", e.at, got, e.answer)
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	return try(filepath.Abs(path)).must(t)
}

// ask sends what curl would send, and returns what curl would print.
func (e example) ask(t *testing.T, s *server, args []string) string {
	t.Helper()
	method, url, body := http.MethodGet, "", any(nil)
	var headers []string
	include := false
	for i := 0; i < len(args); i++ {
		next := func() string {
			if i++; i < len(args) {
				return args[i]
			}
			t.Errorf("%s: %s needs a value", e.at, args[i-1])
			return ""
		}
		switch arg := args[i]; {
		case arg == "-s":
		case arg == "-i" || arg == "-si":
			include = true
		case arg == "-X":
			method = next()
		case arg == "-H":
			name, value, _ := strings.Cut(next(), ":")
			headers = append(headers, name, strings.TrimSpace(value))
		case arg == "--json":
			body = next()
			if method == http.MethodGet {
				method = http.MethodPost
			}
		case strings.HasPrefix(arg, "http://"):
			url = arg
		default:
			t.Errorf("%s: curl's %s is not known here", e.at, arg)
		}
	}
	at := strings.NewReplacer("http://127.0.0.1:8181", s.decisions(), "http://127.0.0.1:8282", s.diagnostic(), "http://127.0.0.1:8383", s.admin())
	r, err := send(t.Context(), method, at.Replace(url), body, headers...)
	if err != nil {
		t.Errorf("%s: %v", e.at, err)
		return ""
	}
	check(t, r.status < 300 || e.answer != "", "%s: %v", e.at, r)
	said := strings.ReplaceAll(string(r.body), s.decisions(), "http://127.0.0.1:8181")
	if !include {
		return said
	}
	head := fmt.Sprintf("HTTP/1.1 %d %s\n", r.status, http.StatusText(r.status))
	for name, values := range r.header {
		head += name + ": " + strings.Join(values, ", ") + "\n"
	}
	return head + "\n" + said
}

// answers reports whether got is the answer that is shown. Of headers, which end with
// an empty line, only those that are shown are looked at.
func answers(shown, got string) bool {
	if strings.HasPrefix(shown, "HTTP/") {
		shownHead, shownBody, _ := strings.Cut(shown, "\n\n")
		head, body, _ := strings.Cut(got, "\n\n")
		for want := range strings.SplitSeq(strings.TrimSpace(shownHead), "\n") {
			if !slices.ContainsFunc(strings.Split(head, "\n"), func(line string) bool { return alike(want, line) }) {
				return false
			}
		}
		shown, got = shownBody, body
	}
	if strings.TrimSpace(shown) == "" {
		return true
	}
	var want, is any
	if json.Unmarshal([]byte(shown), &want) == nil {
		return json.Unmarshal([]byte(got), &is) == nil && matches(want, is)
	}
	wanted, lines := strings.Split(strings.TrimSpace(shown), "\n"), strings.Split(strings.TrimSpace(got), "\n")
	return slices.EqualFunc(wanted, lines, alike)
}

// alike compares a shown text with one that was answered.
func alike(shown, got string) bool {
	if begin, more := strings.CutSuffix(shown, "…"); more {
		return strings.HasPrefix(got, begin)
	}
	return shown == got
}

// matches compares a shown JSON value with one that was answered.
func matches(shown, got any) bool {
	switch shown := shown.(type) {
	case string:
		text, ok := got.(string)
		return ok && alike(shown, text)
	case map[string]any:
		members, ok := got.(map[string]any)
		_, more := shown["…"]
		if !ok || !more && len(shown) != len(members) {
			return false
		}
		for name, value := range shown {
			if is, there := members[name]; name != "…" && (!there || !matches(value, is)) {
				return false
			}
		}
		return true
	case []any:
		elements, ok := got.([]any)
		if !ok {
			return false
		}
		if n := len(shown); n > 0 && shown[n-1] == "…" && len(elements) >= n-1 {
			shown, elements = shown[:n-1], elements[:n-1]
		}
		return slices.EqualFunc(shown, elements, matches)
	}
	return shown == got
}
