package filter

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// manyValues is the most values that are parameters of their own; more are one
// parameter, a JSON array.
const manyValues = 50

// quote writes an identifier as a dialect quotes it. Whatever is in it stays in it.
func (d Dialect) quote(name string) string {
	switch d {
	case MySQL:
		return "`" + strings.ReplaceAll(name, "`", "``") + "`"
	case SQLServer:
		return "[" + strings.ReplaceAll(name, "]", "]]") + "]"
	default: // SQLite: newWriter refuses all others
		return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	}
}

// placeholder writes the parameter with a number.
func (d Dialect) placeholder(n int) string {
	switch d {
	case PostgreSQL:
		return "$" + strconv.Itoa(n) + "::text"
	case SQLServer:
		return "@p" + strconv.Itoa(n)
	default: // SQLite: newWriter refuses all others
		return "?"
	}
}

// numbered reports whether a parameter that stands in several places is one.
func (d Dialect) numbered() bool { return d == PostgreSQL || d == SQLServer }

// exact writes a text so that it is compared by its bytes, or by what comes to the
// same. A column may have any collation:
//
//   - PostgreSQL compares by bytes, but for collations that are not deterministic, and for
//     types that compare otherwise in every collation, as citext does: so it is text that is
//     compared. A char(n) becomes text without the spaces that it is filled up with.
//   - MySQL and MariaDB ignore case, accents and trailing spaces.
//   - SQLite may ignore case (NOCASE) or trailing spaces (RTRIM), and compares with
//     the affinity of the column: '01' is 1 for an INTEGER.
//   - SQL Server ignores case and, in every collation, trailing spaces.
func (d Dialect) exact(text string) string {
	switch d {
	case PostgreSQL:
		return d.column(text) + ` COLLATE "C"`
	case MySQL:
		return "CAST(CONVERT(" + text + " USING utf8mb4) AS BINARY)"
	case SQLServer:
		return "CONVERT(VARBINARY(8000), CONVERT(NVARCHAR(4000), " + text + "))"
	default: // SQLite: newWriter refuses all others
		return "CAST(" + text + " AS TEXT) COLLATE BINARY"
	}
}

// column writes a column so that it is compared as text, in its own collation. For text and
// varchar that is what PostgreSQL does by itself; of citext it would compare no more than
// the lower case, and take rows that it has looked up for one case for those of another.
func (d Dialect) column(column string) string {
	if d == PostgreSQL && !strings.HasPrefix(column, "$") { // a parameter is text
		return "CAST(" + column + " AS text)"
	}
	return column
}

// elements writes a query for the texts of the JSON array that a parameter is: once as
// they are, to be compared in the collation of a column, once to be compared exactly.
// The first is "" where a column of another collation cannot be compared with them.
func (d Dialect) elements(parameter, alias string, exactly bool) string {
	switch d {
	case PostgreSQL:
		return "SELECT jsonb_array_elements_text(" + parameter + "::jsonb)"
	case MySQL:
		if !exactly {
			return ""
		}
		// A table of its own, without a text twice and none of them long, has an index: MariaDB
		// would read the array again for each row otherwise.
		most := strconv.Itoa(maxValue)
		return "SELECT " + alias + ".v FROM (SELECT DISTINCT LEFT(" + d.exact(alias+"v.v") + ", " + most + ") AS v FROM JSON_TABLE(CONVERT(" +
			parameter + " USING utf8mb4), '$[*]' COLUMNS (v VARCHAR(" + most + ") CHARACTER SET utf8mb4 PATH '$')) AS " + alias + "v) AS " + alias
	case SQLServer:
		value := alias + ".v COLLATE DATABASE_DEFAULT"
		if exactly {
			value = d.exact(alias + ".v")
		}
		return "SELECT " + value + " FROM OPENJSON(" + parameter + ") WITH (v NVARCHAR(4000) '$') AS " + alias
	default: // SQLite: newWriter refuses all others
		return "SELECT " + alias + ".value FROM json_each(" + parameter + ") AS " + alias
	}
}

// exists writes how a query begins that is asked only whether it has rows.
//
// MariaDB keeps what such a query came to for the values of the columns around it, and
// looks them up in their own collation: what it found for 'a' would be said of 'A'. It
// does not do so with a query that need not come to the same each time, unless it makes
// an IN of the query, for which it takes an equality with such a column out: see alike.
func (d Dialect) exists() string {
	if d == MySQL {
		return "EXISTS (SELECT RAND() FROM "
	}
	return "EXISTS (SELECT 1 FROM "
}

// within writes how such a query ends that stands in another one, with columns of both that
// are around it.
//
// PostgreSQL makes a table in memory of it, which it looks the columns of the inner query up
// in, and may ask for it in two places of its plan. Then only one of them is told that the
// column of the outer query has changed, and the other answers for a row before it. It makes
// no such table of a query with an OFFSET.
func (d Dialect) within() string {
	if d == PostgreSQL {
		return " OFFSET 0"
	}
	return ""
}

// alike writes that two columns are the same text, or are both NULL, in their own
// collation.
func (d Dialect) alike(a, b string) string {
	if d == MySQL {
		return a + " <=> " + b
	}
	return d.column(a) + " = " + d.column(b)
}

// truth writes that a column is true, or that it is false or NULL.
func (d Dialect) truth(column string, not bool) string {
	switch {
	case d == PostgreSQL && not:
		return column + " IS NOT TRUE"
	case d == PostgreSQL:
		return column + " IS TRUE"
	case not:
		return "(" + column + " IS NULL OR " + column + " <> 1)"
	default: // SQLite: newWriter refuses all others
		return column + " = 1"
	}
}

// array writes texts as a JSON array.
func array(values []string) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(values)
	return strings.TrimSuffix(b.String(), "\n"), err
}
