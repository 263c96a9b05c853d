// Package authz is Caregate's domain: what is asked, what is known, and what
// is answered. It imports the standard library alone; everything it needs from
// outside it declares as an interface with one or two methods.
//
// A question travels one way: an adapter decodes a Request, Service.Decide
// gathers the Facts it names in one read at one Revision, a Policy turns the
// two into a Decision, and the adapter encodes it. No error path yields an
// allow: the zero Decision denies.
package authz
