package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"
)

// The entry points of a policy. Only allow has to exist.
const (
	entryAllow      = "authz/allow"
	entryDecision   = "authz/decision"
	entryGranted    = "authz/grants/granted"
	entryAccount    = "authz/explanation/account"
	entryRoutes     = "authz/visibility/routes" // names the routes by which a patient is visible
	entryCandidates = "authz/candidates"
	entryMasks      = "authz/masks"
)

// entryPoint says which forms a rule that Caregate asks for may have.
type entryPoint struct {
	path string
	// parts is true where it may be put together from rules below its name.
	parts bool
	// data is true where documents of the data may say it, or parts of it.
	data bool
	// is says of a type whether the value may have it.
	is func(types.Type) bool
	// what says the same to the reader.
	what string
}

func entryPoints() []entryPoint {
	return []entryPoint{
		{path: entryAllow, is: isBoolean, what: "true, or undefined"},
		{path: entryDecision, parts: true, is: isDecision, what: "an object with a boolean allow and, if there is a context, an object for that"},
		{path: entryGranted, is: isSetOfTexts, what: "a set of texts; write `granted contains permission if …`"},
		{path: entryAccount, parts: true, is: isObject, what: "an object"},
		{path: entryRoutes, is: isSetOfTexts, what: "a set of texts; write `routes contains \"name\" if …`"},
		{path: entryCandidates, parts: true, data: true, is: isCandidates, what: "an object that has for each type a set of ids, or an object of ids and their properties"},
		{path: entryMasks, parts: true, data: true, is: isObject, what: "an object"},
	}
}

// ref is the entry point as the policy refers to it.
func (e *entryPoint) ref() ast.Ref {
	ref := ast.Ref{ast.DefaultRootDocument}
	for part := range strings.SplitSeq(e.path, "/") {
		ref = append(ref, ast.StringTerm(part))
	}
	return ref
}

// entries finds the entry points that a policy has, in whatever form they are written. One
// of a form that nobody would read is an error: what is overlooked here would not be
// masked, or not be granted, without a word.
func (source *Source) entries(compiler *ast.Compiler) (map[string]bool, error) {
	has := map[string]bool{}
	var errs ast.Errors
	for _, e := range entryPoints() {
		ref := e.ref()
		refuse := func(location *ast.Location, format string, args ...any) {
			errs = append(errs, ast.NewError(ast.TypeErr, location, "%s %s", ref, fmt.Sprintf(format, args...)))
		}
		var rules []*ast.Rule
		for _, name := range slices.Sorted(maps.Keys(compiler.Modules)) {
			for _, rule := range compiler.Modules[name].Rules {
				switch relationOf(rule.Ref(), ref) {
				case above:
					if compiler.TypeEnv.GetByRef(ref) != nil {
						refuse(rule.Location, "would be inside of the rule %s, where it is not looked for; write it as a rule of its own", rule.Ref())
					}
				case here:
					rules = append(rules, rule)
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(source.Tests)) {
			for _, rule := range source.Tests[name].Rules {
				if relationOf(rule.Ref(), ref) == here {
					refuse(rule.Location, "is in a file of tests, which is not served; move it to another file, or give the rule another name")
				}
			}
		}
		has[e.path] = len(rules) > 0
		before := len(errs)
		for _, rule := range rules {
			e.form(ref, rule, refuse)
		}
		if len(errs) == before && len(rules) > 0 {
			e.typed(ref, rules, compiler.TypeEnv, refuse)
		}
		if document, ok := documentAt(source.Data, ref); ok {
			switch {
			case !e.data:
				refuse(nil, "is a document of the data, and nothing asks for it there; write a rule, or give the document another place")
			case !e.is(types.TypeOf(document)):
				refuse(nil, "is in the data as a value of type %s; it must be %s", types.Sprint(types.TypeOf(document)), e.what)
			default:
				has[e.path] = true
			}
		}
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return has, nil
}

// form refuses what is no rule for an entry point, though it has its name.
func (e *entryPoint) form(ref ast.Ref, rule *ast.Rule, refuse func(*ast.Location, string, ...any)) {
	name := rule.Ref()
	below := name[min(len(ref), len(name)):]
	switch {
	case len(rule.Head.Args) > 0:
		refuse(rule.Location, "is a function here, and nothing calls it; write a rule without arguments, or give the function another name")
	case !ref.Equal(name[:min(len(ref), len(name))]):
		refuse(rule.Location, "would be one of the values of %s, where it is not looked for; write it as a rule of its own", name)
	case len(below) > 0 && !e.parts:
		refuse(rule.Location, "is an object here, by the rule %s; it must be %s", name, e.what)
	case len(below) > 0 && strings.HasPrefix(string(textOf(below[0])), "_"):
		refuse(rule.Location, "would show its private rule %s; move that to another package", name)
	}
}

// typed refuses rules whose value cannot be what an entry point has to be.
func (e *entryPoint) typed(ref ast.Ref, rules []*ast.Rule, env *ast.TypeEnv, refuse func(*ast.Location, string, ...any)) {
	t := env.GetByRef(ref)
	if t == nil || e.is(t) {
		return
	}
	wrong := rules[0]
	for _, rule := range rules { // the one that says so by itself, if there is one
		if !e.is(typeOf(rule, ref, env)) {
			wrong = rule
			break
		}
	}
	refuse(wrong.Location, "may be a value of type %s; it must be %s", types.Sprint(t), e.what)
}

// typeOf returns the type that one rule gives to an entry point, nil where it does not say so
// by itself.
func typeOf(rule *ast.Rule, ref ast.Ref, env *ast.TypeEnv) types.Type {
	name := rule.Ref()
	switch v := rule.Head.Value; {
	case len(name) > len(ref) && ast.IsConstant(name[len(ref)].Value):
		key, _ := ast.JSON(name[len(ref)].Value)
		return types.NewObject([]*types.StaticProperty{types.NewStaticProperty(key, env.GetByRef(name[:len(ref)+1]))}, nil)
	case len(name) == len(ref) && rule.Head.Key == nil && v != nil && v.IsGround():
		return env.GetByValue(v.Value)
	}
	return nil
}

// relation says where the name of a rule stands to that of an entry point.
type relation int

const (
	elsewhere relation = iota
	above              // the rule has the entry point inside of its value
	here               // the rule is the entry point, or a part of it
)

// relationOf compares the names as far as both go. An open part may be anything.
func relationOf(rule, entry ast.Ref) relation {
	for i := range min(len(rule), len(entry)) {
		text, isText := rule[i].Value.(ast.String)
		if i == 0 || !ast.IsConstant(rule[i].Value) {
			continue
		}
		if !isText || text != textOf(entry[i]) {
			return elsewhere
		}
	}
	if len(rule) < len(entry) {
		return above
	}
	return here
}

// textOf returns a part of a name, "" for one that is no text.
func textOf(t *ast.Term) ast.String {
	text, _ := t.Value.(ast.String)
	return text
}

// documentAt finds a document of the data by its name.
func documentAt(data any, ref ast.Ref) (any, bool) {
	for _, part := range ref[1:] {
		object, ok := data.(map[string]any)
		if !ok {
			return nil, false
		}
		if data, ok = object[string(textOf(part))]; !ok {
			return nil, false
		}
	}
	return data, true
}

// each reports whether something is so of everything that a type may be. Of a type that
// is not known nothing is said before it is evaluated.
func each(t types.Type, is func(types.Type) bool) bool {
	switch t := t.(type) {
	case nil:
		return true
	case types.Any:
		return !slices.ContainsFunc(t, func(one types.Type) bool { return !each(one, is) })
	case *types.NamedType:
		return each(t.Type, is)
	case *types.Recursive:
		return each(t.Unwrap(), is)
	}
	return is(t)
}

func isBoolean(t types.Type) bool {
	return each(t, func(t types.Type) bool { _, ok := t.(types.Boolean); return ok })
}

func isText(t types.Type) bool {
	return each(t, func(t types.Type) bool { _, ok := t.(types.String); return ok })
}

func isSetOfTexts(t types.Type) bool {
	return each(t, func(t types.Type) bool {
		set, ok := t.(*types.Set)
		return ok && isText(set.Of())
	})
}

func isObject(t types.Type) bool {
	return isObjectOf(t, func(string, types.Type) bool { return true })
}

// isObjectOf reports whether a type is an object whose names are texts and whose values
// are as they should be; "" stands for a name that is not known.
func isObjectOf(t types.Type, value func(string, types.Type) bool) bool {
	return each(t, func(t types.Type) bool {
		object, ok := t.(*types.Object)
		if !ok {
			return false
		}
		for _, property := range object.StaticProperties() {
			if name, ok := property.Key.(string); !ok || !value(name, property.Value) {
				return false
			}
		}
		dynamic := object.DynamicProperties()
		return dynamic == nil || isText(dynamic.Key) && value("", dynamic.Value)
	})
}

func isDecision(t types.Type) bool {
	return isObjectOf(t, func(name string, value types.Type) bool {
		return (name != "allow" || isBoolean(value)) && (name != "context" || isObject(value))
	})
}

func isCandidates(t types.Type) bool {
	return isObjectOf(t, func(_ string, value types.Type) bool {
		return each(value, func(t types.Type) bool {
			switch t := t.(type) {
			case *types.Set:
				return isText(t.Of())
			case *types.Array:
				for i := range t.Len() {
					if !isText(t.Select(i)) {
						return false
					}
				}
				return isText(t.Dynamic())
			}
			return isObjectOf(t, func(_ string, properties types.Type) bool { return isObject(properties) })
		})
	})
}
