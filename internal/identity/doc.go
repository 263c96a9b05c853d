// Package identity says who a signed token speaks for. It is the only importer of
// a JWT library, and it does three things: it reads the issuer's public keys from a
// URL or a file and keeps them fresh, it verifies a token against them with the
// algorithms that the operator pinned, and it takes the member out of the claims.
//
// It fails closed: what is not signed by a key that was published within the last
// hour, by an algorithm of the list, for this issuer and this audience, at this
// moment, is nobody. No error and no log line holds anything of a token.
package identity
