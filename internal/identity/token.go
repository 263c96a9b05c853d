package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	stdjson "encoding/json" // the one whose interface a jwt.Token implements
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// header is what a token says of its signature. It is read before anything is
// verified, so it only chooses among what is allowed anyway.
type header struct {
	Algorithm string         `json:"alg"`
	Key       string         `json:"kid"`
	Critical  jsontext.Value `json:"crit"`
}

// readHeader reads the header of a token in the compact form.
func readHeader(token string) (header, error) {
	var h header
	if len(token) > maxToken {
		return h, refused("is longer than %d bytes", maxToken)
	}
	first, rest, _ := strings.Cut(token, ".")
	if strings.Count(rest, ".") != 1 {
		return h, refused("is not a signed token: three parts with dots between them")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(first)
	// A name that stands twice is an error here, so that two readers of one header
	// cannot disagree.
	if err != nil || json.Unmarshal(b, &h) != nil {
		return header{}, refused("has a header that cannot be read")
	}
	if h.Critical != nil {
		return header{}, refused("asks for an extension that is not known here")
	}
	return h, nil
}

// algorithm returns the signature algorithm called name, and whether it is one
// with a public key that can be trusted.
func algorithm(name string) (jwa.SignatureAlgorithm, bool) {
	switch name {
	case "RS256":
		return jwa.RS256(), true
	case "RS384":
		return jwa.RS384(), true
	case "RS512":
		return jwa.RS512(), true
	case "PS256":
		return jwa.PS256(), true
	case "PS384":
		return jwa.PS384(), true
	case "PS512":
		return jwa.PS512(), true
	case "ES256":
		return jwa.ES256(), true
	case "ES384":
		return jwa.ES384(), true
	case "ES512":
		return jwa.ES512(), true
	case "EdDSA":
		return jwa.EdDSA(), true
	default:
		return jwa.SignatureAlgorithm{}, false
	}
}

// key is one public key of the issuer.
type key struct {
	id        string
	algorithm string // the only one it is for, "" for any that fits
	public    any    // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// fits reports whether the key can have made a signature by an algorithm.
func (k *key) fits(name string) bool {
	if k.algorithm != "" && k.algorithm != name {
		return false
	}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(name, "RS") || strings.HasPrefix(name, "PS")
	case *ecdsa.PublicKey:
		switch public.Curve {
		case elliptic.P256():
			return name == "ES256"
		case elliptic.P384():
			return name == "ES384"
		case elliptic.P521():
			return name == "ES512"
		}
		return false
	case ed25519.PublicKey:
		return name == "EdDSA"
	default:
		return false
	}
}

// claims verifies a token and returns what it claims.
func (k *key) claims(token string, head header) (jwt.Token, error) {
	alg, ok := algorithm(head.Algorithm)
	if !ok || !k.fits(head.Algorithm) {
		return nil, refused("is signed by an algorithm that its key is not for")
	}
	payload, err := jws.Verify([]byte(token), jws.WithKey(alg, k.public), jws.WithCompact())
	if err != nil {
		return nil, refused("has a signature that is not its issuer's")
	}
	var all map[string]jsontext.Value
	claims := jwt.New()
	if json.Unmarshal(payload, &all) != nil {
		return nil, refused("has claims that cannot be read")
	}
	for _, name := range [...]string{jwt.ExpirationKey, jwt.NotBeforeKey, jwt.IssuedAtKey} {
		if value, given := all[name]; given && !isTime(value) {
			return nil, refused("has a claim %s that is not a time: a number of seconds since 1970", name)
		}
	}
	if stdjson.Unmarshal(payload, claims) != nil {
		return nil, refused("has claims that cannot be read")
	}
	return claims, nil
}

// latest is the end of the year 9999, in seconds since 1970.
const latest = 253_402_300_799

// isTime reports whether a value is a NumericDate (RFC 7519, section 2). The library
// takes a text for one as well.
func isTime(value jsontext.Value) bool {
	if value.Kind() != '0' {
		return false
	}
	seconds, err := strconv.ParseFloat(string(value), 64)
	return err == nil && seconds >= 0 && seconds <= latest
}
