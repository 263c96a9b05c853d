package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/nearest"
)

// administration is where a policy declares the names that the service has to know.
const administration = "administration"

// readAdministration reads data.administration, nil where there is none. What is
// declared has to be complete and to be in the catalogue: a name that means nothing would
// lock everybody out in silence. The error has a Finding for each thing that is wrong.
func (source *Source) readAdministration(catalogue *authz.Catalogue) (*authz.Administration, error) {
	raw, declared := source.Data[administration]
	if !declared {
		return nil, nil //nolint:nilnil // a policy of another kind declares none
	}
	r := &declaration{source: source}
	members, ok := raw.(map[string]any)
	if !ok {
		r.wrong("", "is no object; it has questions, everything, users and routes")
		return nil, errors.Join(r.errs...)
	}
	r.only(members, "", "member", []string{"questions", "everything", "users", "routes"})
	a := &authz.Administration{
		Questions: r.questions(members["questions"], catalogue), Everything: r.permission(members, "everything", "*:*"),
		Users: r.permission(members, "users", "user:*"), Routes: r.routes(members["routes"]),
	}
	return a, errors.Join(r.errs...)
}

// declaration is data.administration while it is read.
type declaration struct {
	source   *Source
	errs     []error   // each of them a Finding
	warnings []Finding // of what is complete and in the catalogue
}

// wrong notes what is wrong at a place below data.administration, which is written with
// slashes.
func (r *declaration) wrong(place, format string, args ...any) {
	f := r.finding(place)
	f.Text += " " + fmt.Sprintf(format, args...)
	r.errs = append(r.errs, f)
}

// finding returns a finding for a place that says nothing yet but its name, as Rego
// writes it.
func (r *declaration) finding(place string) Finding {
	at := []string{administration}
	if place != "" {
		at = append(at, strings.Split(place, "/")...)
	}
	f := r.source.place(at)
	f.Text = "data." + administration
	for i, part := range at[1:] {
		switch _, err := strconv.Atoi(part); {
		case err == nil && i > 0:
			f.Text += "[" + part + "]"
		case strings.Contains(part, "."):
			f.Text += "[" + strconv.Quote(part) + "]"
		default:
			f.Text += "." + part
		}
	}
	return f
}

// only complains of members that mean nothing.
func (r *declaration) only(members map[string]any, place, what string, known []string) {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(known, name) {
			r.wrong(path.Join(place, name), "is no %s that there is%s", what, suggestion(name, known, "; take it out"))
		}
	}
}

// suggestion names the nearest of known, and where there is none says otherwise.
func suggestion(name string, known []string, otherwise string) string {
	if best := nearest.To(name, known); best != "" {
		return "; did you mean " + best + "?"
	}
	return otherwise
}

func (r *declaration) questions(raw any, catalogue *authz.Catalogue) map[authz.Duty]authz.Ask {
	const place = "questions"
	members, ok := raw.(map[string]any)
	if !ok {
		r.wrong(place, "is no object; it says for each duty which action on which type of resource stands for it")
		return nil
	}
	var duties []string
	for _, duty := range authz.Duties() {
		duties = append(duties, string(duty))
	}
	r.only(members, place, "duty", duties)
	out := make(map[authz.Duty]authz.Ask, len(duties))
	for _, duty := range duties {
		question, declared := members[duty]
		if !declared {
			r.wrong(place, "has no %s, so that nobody could ever do this; "+
				`write "%s": {"action": …, "resource": …} with what the policy is to be asked`, duty, duty)
			continue
		}
		if ask, ok := r.question(place+"/"+duty, question, catalogue, authz.Duty(duty).About()); ok {
			out[authz.Duty(duty)] = ask
		}
	}
	return out
}

// question reads one question and looks for it in the catalogue.
func (r *declaration) question(place string, raw any, catalogue *authz.Catalogue, about authz.Kind) (authz.Ask, bool) {
	members, isObject := raw.(map[string]any)
	action, hasAction := members["action"].(string)
	resource, hasResource := members["resource"].(string)
	if !isObject || !hasAction || !hasResource {
		r.wrong(place, `is no question; write {"action": …, "resource": …}, both of them texts`)
		return authz.Ask{}, false
	}
	r.only(members, place, "member of a question", []string{"action", "resource"})
	if catalogue == nil {
		r.wrong(place, "asks about %s, and there is no data.catalogue that has it; add one, or take data.administration out", resource)
		return authz.Ask{}, false
	}
	spec, known := catalogue.Types[resource]
	switch {
	case !known:
		r.wrong(place, "asks about %s, which is no type of the catalogue, so that nobody could ever do this%s",
			resource, suggestion(resource, slices.Sorted(maps.Keys(catalogue.Types)), "; name a type that it has, or add this one"))
	case !slices.Contains(spec.Actions, action):
		has := "it has no actions at all; name another type, or add the action"
		if len(spec.Actions) > 0 {
			has = "it has " + strings.Join(spec.Actions, ", ") + suggestion(action, spec.Actions, "; name one of them, or add this one")
		}
		r.wrong(place, "asks %s on %s, which the catalogue has no such action of, so that nobody could ever do this: %s", action, resource, has)
	case about != "" && spec.Facts != about:
		r.wrong(place, "asks about %s, whose facts are not those of a %s; name a type with facts: %s", resource, about, about)
	default:
		return authz.Ask{Action: action, Resource: resource}, true
	}
	return authz.Ask{}, false
}

// permission reads the name of a permission; such as is what it might be.
func (r *declaration) permission(members map[string]any, name, example string) string {
	permission, ok := members[name].(string)
	switch {
	case members[name] == nil:
		r.wrong("", "has no %s; write the permission that means this, such as %s", name, example)
	case !ok || strings.Count(permission, ":") != 1:
		r.wrong(name, "is no permission; write type:action, such as %s", example)
	}
	return permission
}

func (r *declaration) routes(raw any) []string {
	if raw == nil {
		return nil
	}
	const place = "routes"
	items, ok := raw.([]any)
	if !ok {
		r.wrong(place, "is no list; write the names that data.authz.visibility.routes has")
		return nil
	}
	var out []string
	for i, item := range items {
		name, ok := item.(string)
		switch at := place + "/" + strconv.Itoa(i); {
		case !ok || name == "":
			r.wrong(at, "is no name; write a text")
		case slices.Contains(out, name):
			r.wrong(at, "names %s once more; take it out", name)
		default:
			out = append(out, name)
		}
	}
	return out
}

// place returns a finding without text for what data has at a path: the row of the
// nearest name on the way to it in the file that it comes from.
func (source *Source) place(at []string) Finding {
	best, depth := Finding{}, -1
	for _, name := range slices.Sorted(maps.Keys(source.Texts)) {
		inside, isData := strings.CutPrefix(name, "data/")
		if !isData {
			continue
		}
		var folder []string
		if dir := path.Dir(inside); dir != "." {
			folder = strings.Split(dir, "/")
		}
		if len(folder) > len(at) || !slices.Equal(folder, at[:len(folder)]) {
			continue
		}
		row, deep := rowOf(source.Texts[name], at[len(folder):])
		if deep += len(folder); deep > depth && deep > 0 {
			best, depth = Finding{File: name, Row: row}, deep
		}
	}
	return best
}

// rowOf returns the row of a member or an item of a JSON document, or of the last thing
// on the way to it that is there, and how deep that is.
func rowOf(text []byte, at []string) (row, deep int) {
	d := json.NewDecoder(bytes.NewReader(text))
	row = 1
	for deep < len(at) {
		opening, err := d.Token()
		if err != nil || opening != json.Delim('{') && opening != json.Delim('[') {
			return row, deep
		}
		for n := 0; ; n++ {
			if !d.More() {
				return row, deep
			}
			name := strconv.Itoa(n)
			before := d.InputOffset()
			if opening == json.Delim('{') {
				key, err := d.Token()
				if err != nil {
					return row, deep
				}
				name, before = key.(string), d.InputOffset()
			}
			if name == at[deep] {
				if opening == json.Delim('[') { // the item begins after the comma and the space
					rest := bytes.TrimLeft(text[before:], ", \t\r\n")
					before = int64(len(text) - len(rest))
				}
				row = 1 + bytes.Count(text[:before], []byte{'\n'})
				break
			}
			var passed json.RawMessage
			if d.Decode(&passed) != nil {
				return row, deep
			}
		}
		deep++
	}
	return row, deep
}
