package machine_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// author writes random policies and documents out of so few names and values that
// they meet. A rule refers only to rules that were written before it, so that
// nothing is recursive, and to local variables that are in sight.
type author struct {
	*rand.Rand
	rules    []signature
	packages []string // those that are written to their end
	names    []string // of the variables of the rule in hand, which stand as marks in its text
	visible  []int    // those that are in sight
	budget   int      // how many more terms may have parts
	errors   bool     // built-in functions may be called with what they refuse
}

// signature is what other rules have to know of a rule.
type signature struct {
	pkg, name string
	kind      kind
	params    int
}

type kind int

const (
	complete kind = iota
	partialSet
	partialObject
	nested // an object by the names of its rules
	called // a function
)

// program is the text of some modules and the rules that can be asked for.
type program struct {
	modules map[string]string
	entries []string
}

func newAuthor(seed uint64) *author {
	a := &author{Rand: rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // has to be the same for the same seed
	a.errors = a.oneIn(3)
	return a
}

func (a *author) oneIn(n int) bool { return a.IntN(n) == 0 }

// of returns one of several texts.
func (a *author) of(texts ...string) string { return texts[a.IntN(len(texts))] }

// form is one way to write something, as likely as its weight says.
type form struct {
	weight int
	write  func() string
}

func (a *author) write(forms ...form) string {
	total := 0
	for _, f := range forms {
		total += f.weight
	}
	n := a.IntN(total)
	for _, f := range forms {
		if n -= f.weight; n < 0 {
			return f.write()
		}
	}
	panic("unreachable")
}

// list writes n things.
func list(n int, separator string, write func() string) string {
	var out []string
	for range n {
		out = append(out, write())
	}
	return strings.Join(out, separator)
}

// program writes three packages. One of them is inside another, which has base
// documents as well. A rule that is not accepted, as OPA's type checker knows more
// than an author, is written anew.
func (a *author) program(accept func(modules map[string]string) bool) program {
	p := program{modules: map[string]string{}}
	for _, pkg := range []string{"u.v", "u", "t"} {
		file := pkg + ".rego"
		p.modules[file] = "package " + pkg + "\n"
		for i := range 1 + a.IntN(2) {
			for range 5 {
				before := p.modules[file]
				r, text := a.rule(pkg, "r"+strconv.Itoa(i))
				p.modules[file] += "\n" + text + "\n"
				if accept(p.modules) {
					a.rules = append(a.rules, r)
					break
				}
				p.modules[file] = before
			}
		}
		a.packages = append(a.packages, pkg)
	}
	for _, r := range a.rules {
		if r.kind != called && r.kind != nested {
			p.entries = append(p.entries, strings.ReplaceAll(r.pkg, ".", "/")+"/"+r.name)
		}
	}
	a.Shuffle(len(p.entries), func(i, j int) { p.entries[i], p.entries[j] = p.entries[j], p.entries[i] })
	return p
}

// begin starts the text of a body and its head with no variable in sight.
func (a *author) begin() {
	a.visible = nil
	a.budget = 2 + a.IntN(4)
}

// declare makes a variable and returns its mark. It has the first name that is not
// taken by one in sight, so that bodies use the same names.
func (a *author) declare() string {
	pool := []string{"x", "y", "r0", "z", "k", "v"}
	taken := func(name string) bool {
		return slices.ContainsFunc(a.visible, func(i int) bool { return a.names[i] == name })
	}
	name := ""
	for i := 0; name == "" || taken(name); i++ {
		if name = "w" + strconv.Itoa(i); i < len(pool) {
			name = pool[i]
		}
	}
	a.names = append(a.names, name)
	a.visible = append(a.visible, len(a.names)-1)
	return mark(len(a.names) - 1)
}

func mark(variable int) string { return "#" + strconv.Itoa(variable) + "#" }

// inside writes a nested scope. At times a variable outside is not in sight there,
// for one of the same name to take its place.
func (a *author) inside(write func() string) string {
	outside := a.visible
	a.visible = slices.Clone(outside)
	if n := len(outside); n > 0 && a.oneIn(3) {
		i := a.IntN(n)
		a.visible = slices.Delete(a.visible, i, i+1)
	}
	text := write()
	a.visible = outside
	return text
}

// spell replaces the marks of variables. One that is never used is a wildcard:
// OPA's strict mode refuses it otherwise.
func (a *author) spell(text string) string {
	marks := regexp.MustCompile(`#\d+#`)
	uses := map[string]int{}
	for _, m := range marks.FindAllString(text, -1) {
		uses[m]++
	}
	text = marks.ReplaceAllStringFunc(text, func(m string) string {
		if uses[m] == 1 {
			return "_"
		}
		i, _ := strconv.Atoi(strings.Trim(m, "#"))
		return a.names[i]
	})
	a.names = nil
	return text
}

// rule writes all definitions of one rule.
func (a *author) rule(pkg, name string) (signature, string) {
	r := signature{pkg: pkg, name: name, kind: kind(a.IntN(int(called) + 1))}
	if r.kind == called {
		r.params = 1 + a.IntN(2)
	}
	var definitions []string
	if (r.kind == complete || r.kind == called) && a.oneIn(3) {
		params := strings.TrimSuffix(strings.Repeat("_, ", r.params), ", ")
		if r.params > 0 {
			params = "(" + params + ")"
		}
		definitions = append(definitions, "default "+name+params+" := "+a.scalar())
	}
	value := a.of("", "", a.scalar()) // of all definitions, for them to agree
	for i := range max(1, a.IntN(4)) {
		definitions = append(definitions, a.spell(a.definition(r, i, value)))
	}
	return r, strings.Join(definitions, "\n\n")
}

// definition writes one definition of a rule, with a value of its own if none is
// given.
func (a *author) definition(r signature, number int, value string) string {
	a.begin()
	if r.kind == called {
		params := list(r.params, ", ", a.parameter)
		return a.chain(r.name+"("+params+")", value)
	}
	if r.kind == complete {
		return a.chain(r.name, value)
	}
	body := a.body("\n\t")
	head := r.name
	switch r.kind {
	case partialSet:
		head += " contains " + a.term()
	case partialObject:
		head += a.member(value)
	default: // each definition is about another name, or they would conflict
		head += "." + a.of("a", "b") + "." + string(rune('a'+number))
		head += a.write(
			form{1, func() string { return " := " + a.term() }},
			form{1, func() string { return " contains " + a.term() }},
			form{1, func() string { return a.member(value) }},
		)
	}
	return head + " if {\n\t" + body + "\n}"
}

// member writes the key and the value of a partial object.
func (a *author) member(value string) string {
	key := a.write(
		form{4, a.variable},
		form{1, a.name},
		form{1, a.builtin},
		form{2, func() string { return "[" + a.variable() + ", " + a.term() + "]" }},
		form{1, func() string { return "{" + a.variable() + ": " + a.term() + "}" }},
		form{1, func() string { return "{" + a.variable() + ", " + a.term() + "}" }},
	)
	if a.oneIn(2) {
		value = "[" + key + "]"
	} else if value == "" {
		value = a.term()
	}
	return "[" + key + "] := " + value
}

func (a *author) parameter() string {
	return a.write(
		form{4, a.declare},
		form{1, a.scalar},
		form{1, func() string { return "[" + a.declare() + ", " + a.declare() + "]" }},
		form{1, func() string { return `{"a": ` + a.declare() + "}" }},
	)
}

// chain writes a definition that may go on with else. What is after an else sees
// the parameters, but not the variables of the body before.
func (a *author) chain(head, value string) string {
	params := slices.Clone(a.visible)
	text := ""
	for {
		a.visible, a.budget = slices.Clone(params), 2+a.IntN(4)
		body := a.body("\n\t")
		result := value
		if result == "" {
			result = a.term()
		}
		text += head + " := " + result + " if {\n\t" + body + "\n}"
		if !a.oneIn(3) {
			return text
		}
		head, value = " else", ""
	}
}

func (a *author) body(separator string) string {
	return list(max(1, a.IntN(4)), separator, a.statement)
}

// object writes a JSON object with some of the names that paths are made of.
func (a *author) object(depth int) string {
	var members []string
	for _, name := range []string{"a", "b", "c", "0", "1"} {
		if a.oneIn(2) {
			members = append(members, strconv.Quote(name)+": "+a.value(depth-1))
		}
	}
	return "{" + strings.Join(members, ", ") + "}"
}

// value writes a JSON value.
func (a *author) value(depth int) string {
	if depth <= 0 {
		return a.scalar()
	}
	return a.write(
		form{1, a.scalar},
		form{2, func() string { return "[" + list(a.IntN(4), ", ", func() string { return a.value(depth - 1) }) + "]" }},
		form{3, func() string { return a.object(depth) }},
	)
}

// pairs writes an array whose elements are alike: some are others the other way
// round, or wrapped, and many come twice.
func (a *author) pairs() string {
	return "[" + list(a.IntN(7), ", ", func() string {
		return a.of("null", "[null]", `["a", "b"]`, `["b", "a"]`, `"a"`, `["a", 1]`, `[1, "a"]`, "1", "true", `["a", null]`, `["a", [null]]`)
	}) + "]"
}

// document writes what input is, and a part of data.
func (a *author) document() string {
	members := []string{`"list": [` + list(a.IntN(4), ", ", func() string { return a.value(2) }) + "]", `"pairs": ` + a.pairs()}
	for _, name := range []string{"a", "b", "c"} {
		if !a.oneIn(8) {
			members = append(members, strconv.Quote(name)+": "+a.value(a.IntN(5)))
		}
	}
	if a.oneIn(2) {
		members = append(members, `"package": `+a.of(`"u"`, `"u"`, `"t"`, `"base"`))
	}
	return "{" + strings.Join(members, ", ") + "}"
}

// data writes the base documents, one of them in a package.
func (a *author) data() string {
	return fmt.Sprintf(`{"base": %s, "u": {"facts": %s}}`, a.document(), a.value(3))
}
