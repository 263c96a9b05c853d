// Package httpapi answers Caregate's questions over HTTP. It is the only
// importer of Echo, and it decides nothing: a handler has a request decoded, asks
// the domain's service, and answers, or returns the error that becomes a problem document.
//
// A request travels one way. The router picks a route, the edge (edge.go) gives
// it an exchange, a request id, a span, a deadline and a place under the limit
// of requests in flight, a handler receives the body (body.go), which internal/wire
// decodes, asks, and answers (exchange.go). Whatever fails becomes a problem document in one
// place, from one table (problem.go), and never carries a decision.
//
// Paths, identifiers and bodies are never logged, traced or measured: all three
// see only the template of the route.
package httpapi
