//go:build !nosqlite

package verify

import (
	"database/sql"

	_ "modernc.org/sqlite" // the embedded database

	"github.com/caregate/caregate/internal/filter"
)

// OpenSQLite opens the embedded database, empty and in memory.
func OpenSQLite() (Database, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // each connection would have a memory of its own
	return NewDatabase("SQLite", filter.SQLite, db), nil
}
