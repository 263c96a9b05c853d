// Package commit commits changes: it writes edits as the arguments of the script, runs that, and says
// why it refused. Its doors are Committer, for changes and previews, and Batch, for the records of
// an import.
//
// It keeps the rule write of docs/architecture.md: a change is one script, with an expectation for
// everything that it was decided from, and is sent once.
package commit
