package layout

import (
	"slices"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/model"
)

// IsIndex reports whether what begins the names of keys that are the other side of
// something.
func IsIndex(what string) bool {
	_, known := IndexKind(what, "")
	return known
}

// IndexKind returns the kind of the members of an index, "" where they name their
// own, and whether there is such an index.
func IndexKind(what, id string) (members authz.Kind, known bool) {
	if what == "ids" {
		return authz.Kind(id), true
	}
	for _, relation := range model.Relations() {
		if relation.Index() == what {
			from, _ := relation.Ends()
			return from, true
		}
	}
	return "", what == IndexAdmins
}

// HoldsAdmin reports whether a role or group with these fields makes whoever has it
// a holder of user:* (A4).
func HoldsAdmin(kind authz.Kind, hash []string) bool {
	e := new(Entity)
	e.Set(kind, "permissions", script.ValueOf(hash, "permissions"))
	return slices.Contains(e.Record.Permissions, "user:*") || slices.Contains(e.Record.Permissions, "*:*")
}

// IndexAdmins is the index of the roles and groups that grant user:*.
const IndexAdmins = "user-admins"
