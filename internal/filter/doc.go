// Package filter turns the rule into a filter for a caller's own database: a WHERE
// clause with bind parameters, or UCAST for an ORM. It belongs to the domain and
// imports the standard library and its neighbours there.
//
// A filter shows exactly the rows that a check allows (V8), at the revision that it
// states. What it takes for granted of the caller's tables is this, and no more:
//
//   - A row stands for the entity whose id it has, in the organisation asked about, and
//     has the entity's facts. A row that cannot be one of the directory, because its id
//     or its patient group is NULL, is not shown. A mapping that says "resolved" of a
//     table asserts that every row is in the directory; then this is not looked at.
//   - A column of a reference has the id of what is referred to. What is not found
//     there is not shown: for a reference there has to be a row in the table of its type,
//     which has to be a provider where the type requires that. A mapping that
//     says "resolved" of a reference asserts that every value in the column is in the
//     directory, as that type; then no row is asked for, unless it has to say more.
//   - NULL in the column of an optional reference means that the reference is not
//     given, which is another question, and answered as such. NULL in one that is
//     required is not shown.
//   - A reference that the question gives is not open: the rows shown are those that
//     have this very value in the column, if the mapping has a column for it.
//
// NULL never turns a negation around: a condition that must not hold does hold where a
// set has no such row, and where a role is NULL, since a member may have none; with any
// other NULL the row is not shown.
//
// Texts are compared by their bytes, whatever the collation of the column. A clause asks
// first in the column's own collation, so that its index serves, and then exactly.
package filter
