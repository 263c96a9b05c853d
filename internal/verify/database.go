package verify

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/caregate/caregate/internal/filter"
)

// Database is one in which filters are executed.
type Database interface {
	Name() string
	Dialect() filter.Dialect
	// Fill makes the tables be as given. They are the same ones each time, with other rows.
	Fill(ctx context.Context, tables []Table) error
	// Select returns the numbers of the rows of a table that a filter shows, in order.
	Select(ctx context.Context, table string, f *filter.Filter) ([]int, error)
	Close() error
}

// insertedRows is how many rows one statement inserts; SQLite takes 32,766 parameters.
const insertedRows = 500

// NewDatabase returns a database that is reached through db, which it closes. Its texts
// are of a collation that ignores case where the dialect has one.
func NewDatabase(name string, dialect filter.Dialect, db *sql.DB) Database {
	return &database{name: name, dialect: dialect, db: db, made: map[string]bool{}}
}

type database struct {
	name    string
	dialect filter.Dialect
	db      *sql.DB
	made    map[string]bool
}

func (d *database) Name() string            { return d.name }
func (d *database) Dialect() filter.Dialect { return d.dialect }
func (d *database) Close() error            { return d.db.Close() }

func (d *database) Fill(ctx context.Context, tables []Table) error {
	for i := range tables {
		if t := &tables[i]; !d.made[t.Name] {
			if _, err := d.db.ExecContext(ctx, d.create(t)); err != nil {
				return fmt.Errorf("%s: %w", d.name, err)
			}
			d.made[t.Name] = true
		}
	}
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	defer func() { _ = tx.Rollback() }()
	for i := range tables {
		t := &tables[i]
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+d.quote(t.Name)); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		for rows := t.Rows; len(rows) > 0; {
			n := min(len(rows), insertedRows)
			if err := d.insert(ctx, tx, t, rows[:n]); err != nil {
				return fmt.Errorf("%s: %w", d.name, err)
			}
			rows = rows[n:]
		}
	}
	return tx.Commit()
}

func (d *database) create(t *Table) string {
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		typ := "TEXT COLLATE NOCASE"
		switch {
		case i == 0:
			typ = "INTEGER"
		case c.Bool:
			typ = "BOOLEAN"
		case d.dialect == filter.MySQL:
			typ = "VARCHAR(300) CHARACTER SET utf8mb4"
		case d.dialect == filter.PostgreSQL:
			typ = "TEXT"
		}
		columns[i] = d.quote(c.Name) + " " + typ
	}
	return "CREATE TABLE " + d.quote(t.Name) + " (" + strings.Join(columns, ", ") + ")"
}

func (d *database) insert(ctx context.Context, tx *sql.Tx, t *Table, rows [][]any) error {
	var text strings.Builder
	text.WriteString("INSERT INTO " + d.quote(t.Name) + " VALUES ")
	var args []any
	for i, row := range rows {
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString("(")
		for j, v := range row {
			if j > 0 {
				text.WriteString(", ")
			}
			args = append(args, v)
			if d.dialect == filter.PostgreSQL {
				fmt.Fprintf(&text, "$%d", len(args))
			} else {
				text.WriteString("?")
			}
		}
		text.WriteString(")")
	}
	_, err := tx.ExecContext(ctx, text.String(), args...)
	return err
}

func (d *database) Select(ctx context.Context, table string, f *filter.Filter) (out []int, err error) {
	rows, err := d.db.QueryContext(ctx,
		"SELECT "+RowNumber+" FROM "+d.quote(table)+" WHERE "+f.Where+" ORDER BY "+RowNumber, f.Args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}

// quote quotes the name of a table or column of ours, which has no quotes in it.
func (d *database) quote(name string) string {
	if d.dialect == filter.MySQL {
		return "`" + name + "`"
	}
	return `"` + name + `"`
}
