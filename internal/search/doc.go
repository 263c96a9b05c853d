// Package search answers which: which resources a subject may act on, which subjects
// may act on a resource, which actions a subject may do (AuthZEN 1.0, section 8). It
// belongs to the domain and imports the standard library and its neighbours there.
//
// A search asks the policy what is left of its rule when what is looked for is open,
// reads the indexes that the residual names, and hands out their union in the order
// of the ids, page by page; each page is true at the one revision that it states. Only
// a policy that cannot be turned into a residual is asked about one candidate after
// the other.
package search
