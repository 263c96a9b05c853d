package machine_test

import (
	"regexp"
	"strings"
)

// statement writes one statement of a body. What it declares is in sight after it.
func (a *author) statement() string {
	return a.write(
		form{4, func() string { t := a.loose(); return "some " + a.declare() + " in " + t }},
		form{3, func() string { t := a.loose(); return "some " + a.declare() + ", " + a.declare() + " in " + t }},
		form{3, func() string { t := a.term(); return a.declare() + " := " + t }},
		form{3, a.pattern},
		form{3, a.every},
		form{4, a.search},
		form{1, func() string { t := a.loose(); return "walk(" + t + ", [" + a.declare() + ", " + a.declare() + "])" }},
		form{5, func() string { return "not " + a.test() }},
		form{6, a.test},
	)
}

// test writes a statement that declares nothing, so that it can be negated.
func (a *author) test() string {
	return a.write(
		form{3, func() string { return a.open() + a.of(" == ", " == ", " != ", " < ", " >= ") + a.term() }},
		form{3, func() string { return a.term() + " in " + a.loose() }},
		form{3, a.reference},
		form{3, a.path},
		form{2, func() string { return a.variable() + a.lookup() }},
		form{1, a.variable},
		form{1, a.builtin},
	)
}

// hole is where text waits for a variable.
const hole = "@"

// some declares variables for the holes of a statement.
func (a *author) some(statement string) string {
	var declared []string
	for strings.Contains(statement, hole) {
		v := a.declare()
		declared = append(declared, v)
		statement = strings.Replace(statement, hole, v, 1)
	}
	return "some " + strings.Join(declared, ", ") + "; " + statement
}

// pattern takes a value apart.
func (a *author) pattern() string {
	value, known := a.loose(), a.term()
	return a.write(
		form{2, func() string { return "[" + a.declare() + ", " + a.declare() + "] := " + value }},
		form{2, func() string { return `{"a": ` + a.declare() + "} := " + value }},
		form{1, func() string { return a.some("[@, @] = " + value) }},
		form{1, func() string { return a.some("[@, " + known + "] = " + value) }},
		form{1, func() string { return a.some(`{"a": @, "b": ` + known + "} = " + value) }},
		form{1, func() string { return a.some(`[{"b": @}, ` + known + "] = " + value) }},
	)
}

// search finds the keys under which a document holds something.
func (a *author) search() string {
	base := a.write(form{3, a.path}, form{3, a.reference}, form{1, a.variable})
	return a.write(
		form{3, func() string { return a.some(base + "[@]") }},
		form{2, func() string { return a.some(base + "[@]" + a.lookup()) }},
		form{2, func() string { return a.some(base + "[@][@]") }},
		form{3, func() string {
			found := a.some(base + "[@]")
			return strings.Replace(found, "; ", "; "+a.declare()+" := ", 1)
		}},
	)
}

func (a *author) every() string {
	domain := a.loose()
	return a.inside(func() string {
		names := a.declare()
		if a.oneIn(2) {
			names += ", " + a.declare()
		}
		return "every " + names + " in " + domain + " { " + a.body("; ") + " }"
	})
}

// term writes a value of any kind.
func (a *author) term() string {
	if a.budget--; a.budget < 0 {
		return a.write(form{1, a.variable}, form{1, a.scalar})
	}
	pair := func() string { return a.term() + ", " + a.term() }
	return a.write(
		form{2, a.scalar},
		form{4, a.variable},
		form{3, a.path},
		form{4, a.reference},
		form{1, func() string { return "[" + pair() + "]" }},
		form{1, func() string { return "{" + pair() + "}" }},
		form{1, func() string { return "{" + a.name() + ": " + a.term() + "}" }},
		form{3, a.comprehension},
		form{2, a.builtin},
	)
}

// open writes a value that OPA's type checker knows nothing about, mostly.
func (a *author) open() string { return a.write(form{2, a.path}, form{1, a.variable}) }

// loose writes a value that OPA's type checker knows little about, so that it can
// stand anywhere.
func (a *author) loose() string {
	return a.write(
		form{6, a.path},
		form{4, a.variable},
		form{4, a.reference},
		form{1, func() string { return a.variable() + a.lookup() }},
		form{1, a.comprehension},
	)
}

func (a *author) scalar() string {
	return a.of("0", "1", "2", "1.5", `"a"`, `"b"`, `"c"`, `"0"`, `"1"`, `""`, "true", "false", "null")
}

func (a *author) name() string { return a.of(`"a"`, `"b"`, `"c"`, `"0"`, `"1"`) }

// variable writes one that is in sight, or else a path.
func (a *author) variable() string {
	if len(a.visible) == 0 {
		return a.path()
	}
	return mark(a.visible[a.IntN(len(a.visible))])
}

// path writes a look-up in the input or in base documents. Most are constant and
// begin alike.
func (a *author) path() string {
	text := a.of("input", "input", "input", "data.base", "data.base", "data.u.facts")
	if text == "input" && a.oneIn(12) || text == "data.base" && a.oneIn(20) {
		return text
	}
	if text != "data.u.facts" {
		text += a.of(".a", ".b", ".c", ".a", ".b", ".list", ".pairs")
	}
	for a.oneIn(2) {
		text += a.write(form{3, func() string { return a.of(".a", ".b", ".c", `["0"]`) }}, form{1, a.lookup})
	}
	return text
}

// lookup writes a key in brackets, mostly one that depends on the question.
func (a *author) lookup() string {
	return "[" + a.write(
		form{5, func() string { return a.of(`"a"`, `"b"`, `"0"`, "0", "1") }},
		form{5, a.variable},
		form{1, func() string { return a.of("true", "null", "1.5", `["a", 1]`, "[null]") }},
		form{1, func() string { return "[" + a.variable() + ", " + a.variable() + "]" }},
		form{1, func() string { return "{" + a.variable() + "}" }},
	) + "]"
}

// reference writes a rule, what is below one, or a whole package.
func (a *author) reference() string {
	if len(a.rules) == 0 {
		return a.path()
	}
	r := a.rules[a.IntN(len(a.rules))]
	text := "data." + r.pkg + "." + r.name
	if r.kind == called {
		return text + "(" + list(r.params, ", ", a.term) + ")"
	}
	if n := len(a.packages); n > 0 && a.oneIn(5) {
		return "data." + a.packages[a.IntN(n)]
	}
	switch {
	case r.kind == nested: // by names alone: others would make it a rule whose name depends on the question
		text += a.of("", ".a", ".b", ".a.a", ".a.b", ".b.a", ".b.b")
	case r.kind != complete && a.oneIn(2) || a.oneIn(8):
		text += "[" + a.open() + "]" // the type checker knows what there is, so the key is open
	}
	return text
}

func (a *author) comprehension() string {
	return a.inside(func() string {
		body := " | " + list(1+a.IntN(2), "; ", a.statement)
		return a.write(
			form{2, func() string { return "[" + a.term() + body + "]" }},
			form{2, func() string { return "{" + a.term() + body + "}" }},
			form{2, func() string {
				key, value := a.term(), a.scalar()
				if a.oneIn(2) {
					value = "[" + key + "]"
				} else if a.errors {
					value = a.term()
				}
				return "{" + key + ": " + value + body + "}"
			}},
		)
	})
}

// builtin writes a call of a built-in function. All but a few calls are of such as
// have a result for whatever they are given.
func (a *author) builtin() string {
	total := []string{
		"type_name(T)", "is_string(L)", "json.marshal(T)", `sprintf("%v", [T])`, `sprintf("%v-%v", [T, L])`, "object.get(O, K, T)",
		"object.get({K: T}, [K, K], T)", "({T, T} | {T})", "({T, T} & {T | some _ in L})", "({e | some e in L} - {T, T})", "array.concat([T], [T])",
		"object.union({K: T}, {K: T})", "object.keys({K: T, K: T})", "count([T | some _ in L])", "count({e | some e in L})",
		"sum([e | some e in L; is_number(e)])", `concat(",", [e | some e in L; is_string(e)])`, "max([T, T])", "sort({T, T})",
		"(T == O)", "(T in L)", "(O != T)", `startswith(sprintf("%v", [T]), "a")`, "union({{T}, {T}})", "array.reverse([T, T])",
		`split(sprintf("%v", [T]), "a")`, "to_number(type_name(T) == K)", "{e: f | some e, f; walk(T, [e, f])}", "[e | some e; walk(L, e)]",
	}
	partial := []string{"count(L)", "sum(L)", "to_number(L)", "concat(L, L)", "(1 / L)", "(L + 1)", "upper(L)", "(L | {T})", "object.keys(L)", "max(L)"}
	texts := total
	if a.errors && a.oneIn(4) {
		texts = partial
	}
	arguments := map[string]func() string{"T": a.term, "L": a.loose, "O": a.open, "K": a.name}
	return regexp.MustCompile(`\b[TLOK]\b`).ReplaceAllStringFunc(a.of(texts...), func(argument string) string {
		return arguments[argument]()
	})
}
