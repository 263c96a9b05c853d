package admin

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// withoutPrefix returns a function that takes the first of prefixes that a field has
// away from it.
func withoutPrefix(prefixes ...string) func(string) string {
	return func(field string) string {
		for _, prefix := range prefixes {
			if rest, ok := strings.CutPrefix(field, prefix); ok {
				return strings.TrimPrefix(rest, ".")
			}
		}
		return field
	}
}

// renamed returns err with its field in other words.
func renamed(err error, rename func(string) string) error {
	e, ok := errors.AsType[*authz.Error](err)
	if !ok || rename == nil {
		return err
	}
	out := *e
	out.Field = rename(e.Field)
	return &out
}

// added returns what is in after and not in before.
func added(before, after []string) []string {
	had := make(map[string]bool, len(before))
	for _, item := range before {
		had[item] = true
	}
	var out []string
	for _, item := range after {
		if !had[item] {
			out = append(out, item)
		}
	}
	return out
}

func withoutItem(list []string, item string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == item })
}

func withItem(list []string, item string) []string {
	if slices.Contains(list, item) {
		return list
	}
	return append(slices.Clip(list), item)
}

func compareKeys(a, b authz.Key) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
}
