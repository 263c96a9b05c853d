package layout

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/model"
)

// FlagOf writes a bool as hashes and scripts have it.
func FlagOf(value bool) string {
	if value {
		return "1"
	}
	return "0"
}

// permissionsOf writes permissions as hashes have them: sorted, never null.
func permissionsOf(permissions []string) (string, error) {
	sorted := append([]string{}, permissions...)
	slices.Sort(sorted)
	text, err := json.Marshal(sorted)
	if err != nil {
		return "", fmt.Errorf("write the permissions: %w", err)
	}
	return string(text), nil
}

// StoredValue returns the value of a field that is no edge as Redis has it, "" for a flag that
// it then does not have.
func StoredValue(f *model.Field, r *admin.Record) (string, error) {
	switch {
	case f.Text != nil:
		return *f.Text(r), nil
	case f.Flag != nil && f.Since > 0 && !*f.Flag(r):
		return "", nil
	case f.Flag != nil:
		return FlagOf(*f.Flag(r)), nil
	default:
		return permissionsOf(*f.List(r))
	}
}

// StoredOf reads the hash of an entity as a script returns it, nil when there is
// none.
func StoredOf(key authz.Key, hash any) (*admin.Stored, error) {
	e, err := EntityOf(key.Kind, hash)
	if err != nil || e == nil {
		return nil, err
	}
	stored := &admin.Stored{Record: e.RecordOf(key.Kind, key.ID), Since: e.Since}
	if len(e.CareTeam) == 0 {
		return stored, nil
	}
	stored.Sources = make(map[string][]string, len(e.CareTeam))
	err = script.EachField(hash, func(field, value string) error {
		if member, ok := strings.CutPrefix(field, "c:"); ok {
			stored.Sources[member] = strings.Split(value, "\n")
		}
		return nil
	})
	return stored, err
}
