// Package admin is the domain of changes: what an organisation's facts are made
// of, what can be done to them, who may do it (A1, A4, B3, B4) and what is kept
// of who did what (A3). Like authz and model, which it builds on, it imports
// nothing else than the standard library.
//
// A change travels one way: an adapter decodes Edits and who the Actor is,
// Service asks the policy whether the actor may make them, and a Store commits
// all of them in one atomic step, at one new revision, or none. What the policy
// looked at is handed to the store as expectations: a change is committed only if
// that is still as it was.
package admin
