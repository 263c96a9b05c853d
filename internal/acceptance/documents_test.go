package acceptance

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// repository is where the documents are, seen from this folder.
const repository = "../.."

// document is a Markdown file of the repository, taken apart.
type document struct {
	path    string // from the root of the repository
	prose   []line // without code blocks
	blocks  []block
	anchors map[string]bool
}

type line struct {
	number int
	text   string
}

// block is a code block.
type block struct {
	language string
	lines    []line
}

// documents reads every Markdown file of the repository.
func documents(t *testing.T) []*document {
	t.Helper()
	var found []*document
	err := filepath.WalkDir(repository, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != repository && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "bin") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(repository, path)
		if err != nil {
			return err
		}
		d, err := takeApart(name, string(text))
		found = append(found, d)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	require(t, len(found) >= 10, "%d documents were found", len(found))
	return found
}

// takeApart tells code blocks from prose.
func takeApart(path, text string) (*document, error) {
	d := &document{path: path, anchors: map[string]bool{}}
	var open *block
	for i, text := range strings.Split(text, "\n") {
		l := line{i + 1, text}
		fence, isFence := strings.CutPrefix(strings.TrimSpace(text), "```")
		switch {
		case isFence && open == nil:
			open = &block{language: fence}
		case isFence:
			d.blocks = append(d.blocks, *open)
			open = nil
		case open != nil:
			open.lines = append(open.lines, l)
		default:
			d.prose = append(d.prose, l)
			if match := heading.FindStringSubmatch(text); match != nil {
				d.addAnchor(match[1])
			}
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%s: a code block does not end", path)
	}
	return d, nil
}

// addAnchor adds the anchor that GitHub makes of a heading.
func (d *document) addAnchor(text string) {
	text = linked.ReplaceAllString(text, "$1")
	name := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, text)
	anchor := name
	for n := 1; d.anchors[anchor]; n++ {
		anchor = fmt.Sprintf("%s-%d", name, n)
	}
	d.anchors[anchor] = true
}

var (
	heading  = regexp.MustCompile(`^#+ (.+)`)
	linked   = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	codeSpan = regexp.MustCompile("`([^`]+)`")
	made     = regexp.MustCompile(`\bmake ([a-z][a-z-]*)`)
	inside   = regexp.MustCompile(`^(cmd|data|deploy|docs|internal|policies)(/[A-Za-z0-9_.-]+)+/?$`)
)

func TestEveryLinkOfTheDocumentsLeadsSomewhere(t *testing.T) {
	all := documents(t)
	byPath := map[string]*document{}
	for _, d := range all {
		byPath[d.path] = d
	}
	for _, d := range all {
		for _, l := range d.prose {
			for _, match := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(l.text, ""), -1) {
				target, anchor, hasAnchor := strings.Cut(match[1], "#")
				if strings.Contains(target, "://") {
					continue
				}
				path := d.path
				if target != "" {
					path = filepath.Join(filepath.Dir(d.path), target)
				}
				if _, err := os.Stat(filepath.Join(repository, path)); err != nil {
					t.Errorf("%s:%d: there is no %s", d.path, l.number, match[1])
				} else if hasAnchor && (byPath[path] == nil || !byPath[path].anchors[anchor]) {
					t.Errorf("%s:%d: %s has no heading #%s", d.path, l.number, path, anchor)
				}
			}
			for _, match := range codeSpan.FindAllStringSubmatch(l.text, -1) {
				if _, err := os.Stat(filepath.Join(repository, match[1])); err != nil && inside.MatchString(match[1]) {
					t.Errorf("%s:%d: there is no %s", d.path, l.number, match[1])
				}
			}
		}
	}
}

// code returns every line of code in a document: those of its blocks, continued lines
// as one, and what stands in its prose as code.
func (d *document) code() []line {
	var code []line
	for _, b := range d.blocks {
		for i := 0; i < len(b.lines); i++ {
			whole := b.lines[i]
			for strings.HasSuffix(whole.text, `\`) && i+1 < len(b.lines) {
				i++
				whole.text = strings.TrimSuffix(whole.text, `\`) + b.lines[i].text
			}
			code = append(code, whole)
		}
	}
	for _, l := range d.prose {
		for _, match := range codeSpan.FindAllStringSubmatch(l.text, -1) {
			code = append(code, line{l.number, match[1]})
		}
	}
	return code
}

func TestEveryMakeTargetOfTheDocumentsExists(t *testing.T) {
	makefile := try(os.ReadFile(filepath.Join(repository, "Makefile"))).must(t)
	for _, d := range documents(t) {
		for _, l := range d.code() {
			for _, match := range made.FindAllStringSubmatch(l.text, -1) {
				if !regexp.MustCompile(`(?m)^` + match[1] + `:`).Match(makefile) {
					t.Errorf("%s:%d: the Makefile has no target %s", d.path, l.number, match[1])
				}
			}
		}
	}
}

// commands knows the subcommands of the binary and their flags, from its own help.
type commands map[string][]string

// flags returns the flags of a subcommand, nil when there is none of that name.
func (c commands) flags(t *testing.T, words ...string) []string {
	t.Helper()
	name := strings.Join(words, " ")
	if known, ok := c[name]; ok {
		return known
	}
	got := run(t, "", append(slices.Clone(words), "--help")...)
	usage := "\n  " + strings.Join(append([]string{"caregate"}, words...), " ")
	if got.code == 0 && strings.Contains(got.stdout, usage) {
		c[name] = []string{"--help"}
		for _, match := range regexp.MustCompile(`(?m)^ +(?:-[a-z], )?(--[a-z-]+)`).FindAllStringSubmatch(got.stdout, -1) {
			c[name] = append(c[name], match[1])
		}
	}
	return c[name]
}

// invocation finds a call of the binary in a line of code.
var invocation = regexp.MustCompile(`(?:^|[|;&$(] *|\bgo run \./cmd/)caregate ([a-z][^|>;&)]*)`)

func TestEveryCommandOfTheDocumentsExists(t *testing.T) {
	t.Parallel()
	known := commands{}
	seen := 0
	for _, d := range documents(t) {
		for _, l := range d.code() {
			for _, match := range invocation.FindAllStringSubmatch(l.text, -1) {
				seen++
				words := strings.Fields(match[1])
				name := words[:1]
				if words[0] == "policy" && len(words) > 1 {
					name = words[:2]
				}
				flags := known.flags(t, name...)
				if flags == nil {
					t.Errorf("%s:%d: there is no caregate %s", d.path, l.number, strings.Join(name, " "))
					continue
				}
				for _, word := range words {
					if flag, _, _ := strings.Cut(word, "="); strings.HasPrefix(flag, "--") && !slices.Contains(flags, flag) {
						t.Errorf("%s:%d: caregate %s has no %s", d.path, l.number, strings.Join(name, " "), flag)
					}
				}
			}
		}
	}
	check(t, seen >= 20, "%d commands were found", seen)
}
