// Package wire is the JSON of the two APIs: of decisions and of directory administration.
// Handlers and commands turn bytes into values of the domain by it, and values into bytes;
// it asks nothing, decides nothing and does not know HTTP.
//
// What is asked on the way of a decision (evaluations, batches, searches, and the question
// in the bodies beside them) has a codec by hand, a Decoder that is used again. Everything
// else is structs with tags, decoded by Decode: members that are not known, that are given
// twice or that are null are errors. Records have the fields of internal/model's table, so
// a field of the table is one of every body and answer.
//
// Errors are an *authz.Error of kind Malformed or TooLarge whose Field is the place in the
// body: edits[2].put.role.
package wire
