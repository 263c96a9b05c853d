package script

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// tables returns the table of package model as scripts that change and audit facts begin with it:
//
//	kinds      the kinds in their order
//	singles    by kind, the fields that are one value, in order: name; to, the kind that the value
//	           refers to, if it does; index, what the other side of it begins with; and
//	           always, whether it must not be empty; since, the schema
//	           with which a flag came that is stored only where it is true
//	lists      by kind, the fields that are ids, in order: name, edge, to and index
//	links      by relation that is made and ended by itself: from, and what its list has
//	referring  by kind, what refers to an entity of it, by the kind of that: from, the indexes, and
//	           the edges or the one field, with always, by which it does
//
// A field of a record needs no line of its own in a script by this.
func tables() string {
	var b strings.Builder
	kinds := model.Kinds()
	fmt.Fprintf(&b, "local kinds = {%s}\nlocal singles, lists, links, referring = {}, {}, {}, {}\n", luaList(kinds))
	for _, kind := range kinds {
		var singles, lists []string
		for _, f := range model.Fields(kind) {
			_, to := f.Relation.Ends()
			switch {
			case f.Edge != "":
				lists = append(lists, luaFields(f, "to", string(to), "index", f.Relation.Index()+":"))
			case to != "":
				singles = append(singles, luaFields(f, "to", string(to), "index", f.Relation.Index()+":"))
			default:
				singles = append(singles, luaFields(f))
			}
		}
		fmt.Fprintf(&b, "singles.%s, lists.%[1]s = {%s}, {%s}\n", kind, strings.Join(singles, ", "), strings.Join(lists, ", "))
		fmt.Fprintf(&b, "referring.%s = {%s}\n", kind, strings.Join(referring(kind), ", "))
	}
	for _, relation := range model.Relations() {
		if from, to := relation.Ends(); relation.IsLinked() {
			fmt.Fprintf(&b, "links.%s = {from = %q, edge = %q, to = %q}\n", relation, from, relation.Field().Edge, to)
		}
	}
	return b.String()
}

// luaFields returns a field, with names and texts in turn beside.
func luaFields(f model.Field, further ...string) string {
	text := fmt.Sprintf("{name = %q, edge = %q, always = %t", f.Name, f.Edge, f.Always)
	if f.Since > 0 {
		text += fmt.Sprintf(", since = %d", f.Since)
	}
	for pair := range slices.Chunk(further, 2) {
		text += fmt.Sprintf(", %s = %q", pair[0], pair[1])
	}
	return text + "}"
}

// referring returns what refers to an entity of a kind.
func referring(to authz.Kind) (out []string) {
	for _, from := range model.Kinds() {
		var indexes, edges []string
		single := ""
		for _, relation := range model.Relations() {
			if a, b := relation.Ends(); a != from || b != to {
				continue
			}
			indexes = append(indexes, relation.Index()+":")
			if f := relation.Field(); f.Edge != "" {
				edges = append(edges, f.Edge)
			} else {
				single = fmt.Sprintf(", field = %q, always = %t", f.Name, f.Always)
			}
		}
		if len(indexes) > 0 {
			out = append(out, fmt.Sprintf("{from = %q, indexes = {%s}, edges = {%s}%s}", from, luaList(indexes), luaList(edges), single))
		}
	}
	return out
}

// luaList writes texts, which are names of the table, in quotes with commas between them.
func luaList[T ~string](texts []T) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = fmt.Sprintf("%q", string(text))
	}
	return strings.Join(quoted, ", ")
}
