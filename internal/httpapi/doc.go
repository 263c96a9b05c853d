// Package httpapi answers Caregate's questions over HTTP. It is the only
// importer of Echo, and it decides nothing: it reads a request strictly, asks
// the domain's service, and writes the answer or a problem document.
//
// A request travels one way. The router picks a route, the edge (edge.go) gives
// it an exchange, a request id, a span, a deadline and a place under the limit
// of requests in flight, a handler reads the body (decode.go, request.go), asks,
// and writes (encode.go). Whatever fails becomes a problem document in one
// place, from one table (problem.go), and never carries a decision.
//
// Paths, identifiers and bodies are never logged, traced or measured: all three
// see the template of the route alone.
package httpapi
