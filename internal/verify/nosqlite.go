//go:build nosqlite

package verify

import "errors"

// OpenSQLite says that there is none: the sidecar is built without it, since nothing
// else of Caregate executes SQL.
func OpenSQLite() (Database, error) {
	return nil, errors.New("this program was built without SQLite, in which filters are executed; " +
		"verify with one that was built without the tag nosqlite, as by go run ./cmd/caregate policy verify")
}
