package acceptance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// issuer signs tokens as an identity provider does. It is written from RFC
// 7515 to 7519, apart from what verifies them.
type issuer struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

const (
	issuerURL = "https://id.example.org/"
	audience  = "caregate-admin"
)

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	r := try(rsa.GenerateKey(rand.Reader, 2048)).must(t)
	e := try(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).must(t)
	return &issuer{r, e}
}

// keys writes the public keys to a file and returns its name.
func (i *issuer) keys(t *testing.T) string {
	t.Helper()
	point := try(i.ec.PublicKey.Bytes()).must(t)
	set := object{"keys": array{
		object{"kty": "RSA", "kid": "r1", "use": "sig", "alg": "RS256", "n": base64url(i.rsa.N.Bytes()), "e": base64url(big.NewInt(int64(i.rsa.E)).Bytes())},
		object{"kty": "EC", "kid": "e1", "use": "sig", "alg": "ES256", "crv": "P-256", "x": base64url(point[1:33]), "y": base64url(point[33:])},
	}}
	text, _ := json.Marshal(set)
	file := filepath.Join(t.TempDir(), "jwks.json")
	noError(t, os.WriteFile(file, text, 0o600))
	return file
}

// claims of a token that is good for an hour.
func claims(who string) object {
	return object{"iss": issuerURL, "aud": audience, "sub": who, "clinic": "riverside",
		"iat": time.Now().Add(-time.Minute).Unix(), "exp": time.Now().Add(time.Hour).Unix()}
}

func (o claimsOf) but(name string, value any) object {
	out := object{}
	for k, v := range o {
		out[k] = v
	}
	if out[name] = value; value == nil {
		delete(out, name)
	}
	return out
}

type claimsOf object

// token signs claims with the algorithm that the header names, or with the one
// given when the header is to lie.
func (i *issuer) token(t *testing.T, header, body object, signedAs string) string {
	t.Helper()
	h, _ := json.Marshal(header)
	b, _ := json.Marshal(body)
	text := base64url(h) + "." + base64url(b)
	sum := sha256.Sum256([]byte(text))
	var signature []byte
	var err error
	switch signedAs {
	case "RS256":
		signature, err = rsa.SignPKCS1v15(rand.Reader, i.rsa, crypto.SHA256, sum[:])
	case "PS256":
		signature, err = rsa.SignPSS(rand.Reader, i.rsa, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	case "ES256":
		r, s, failed := ecdsa.Sign(rand.Reader, i.ec, sum[:])
		if err = failed; err == nil {
			signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	case "HS256": // with the public key as the secret, an old trick
		mac := hmac.New(sha256.New, i.rsa.N.Bytes())
		mac.Write([]byte(text))
		signature = mac.Sum(nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64url(signature)
}

func (i *issuer) rs256(t *testing.T, body object) string {
	t.Helper()
	return i.token(t, object{"alg": "RS256", "kid": "r1", "typ": "JWT"}, body, "RS256")
}

func (i *issuer) es256(t *testing.T, body object) string {
	t.Helper()
	return i.token(t, object{"alg": "ES256", "kid": "e1", "typ": "JWT"}, body, "ES256")
}

const serviceToken = "9f86d081884c7d659a2feaa0c55ad015"

// guarded is the example behind tokens: an issuer's, and a trusted service's.
func guarded(t *testing.T, i *issuer, flags ...string) directory {
	t.Helper()
	file := writeFile(t, "tokens", "portal "+serviceToken+"\n")
	s := serve(t, append([]string{"--jwt-jwks", i.keys(t), "--jwt-issuer", issuerURL, "--jwt-audience", audience, "--admin-tokens", file}, flags...)...)
	return directory{&organisation{name: "riverside", server: s}, ""}
}

// TestSignedTokens lets in who bears a JWT that says who they are, and nobody
// else.
func TestSignedTokens(t *testing.T) {
	t.Parallel()
	i, other := newIssuer(t), newIssuer(t)
	d := guarded(t, i, "--jwt-organisation-claim", "clinic")
	write := func(t *testing.T, token string, headers ...string) reply {
		t.Helper()
		return d.put(t, "/team-members/noor/groups/administrators", nil, append([]string{"Authorization", "Bearer " + token}, headers...)...)
	}
	for name, sign := range map[string]func(*testing.T, object) string{"RS256": i.rs256, "ES256": i.es256} {
		t.Run(name, func(t *testing.T) {
			d.actor = ""
			service := []string{"Authorization", "Bearer " + serviceToken, "Caregate-Actor", "ines"}
			answered(t, write(t, sign(t, claims("ines"))), http.StatusNoContent, "ines")
			answered(t, write(t, sign(t, claims("ines")), "Caregate-Actor", "ines"), http.StatusNoContent, "ines, who says so twice")
			answered(t, write(t, sign(t, claimsOf(claims("ines")).but("aud", array{"others", audience}))), http.StatusNoContent, "one of several audiences")
			answered(t, d.delete(t, "/team-members/noor/groups/administrators", service...), http.StatusNoContent, "undone")
			refused(t, write(t, sign(t, claims("mark"))), http.StatusForbidden)
			refused(t, write(t, sign(t, claims("nobody"))), http.StatusForbidden)
			refused(t, write(t, sign(t, claims("ines")), "Caregate-Actor", "amara"), http.StatusForbidden)
			refused(t, write(t, sign(t, claims("mark")), "Caregate-Actor", "amara"), http.StatusForbidden)
			refused(t, write(t, sign(t, claimsOf(claims("ines")).but("clinic", "hillside"))), http.StatusForbidden)
			if r := write(t, sign(t, claimsOf(claims("ines")).but("clinic", nil))); r.status != http.StatusForbidden && r.status != http.StatusUnauthorized {
				t.Errorf("a token for no organisation: %v", r)
			}
			if r := sent(t, http.MethodGet, d.server.admin()+"/directory/v1/roles", nil, "Authorization", "Bearer "+sign(t, claims("ines"))); r.status != http.StatusOK {
				t.Errorf("the default organisation: %v", r)
			}
			elsewhere := sent(t, http.MethodGet, d.server.admin()+"/organisations/hillside/directory/v1/roles", nil, "Authorization", "Bearer "+sign(t, claims("ines")))
			refused(t, elsewhere, http.StatusForbidden)
			good := claimsOf(claims("ines"))
			for what, token := range map[string]string{
				"another issuer":         sign(t, good.but("iss", "https://evil.example.org/")),
				"an issuer without /":    sign(t, good.but("iss", strings.TrimSuffix(issuerURL, "/"))),
				"no issuer":              sign(t, good.but("iss", nil)),
				"another audience":       sign(t, good.but("aud", "caregate")),
				"other audiences":        sign(t, good.but("aud", array{"a", "b"})),
				"no audience":            sign(t, good.but("aud", nil)),
				"expired":                sign(t, good.but("exp", time.Now().Add(-10*time.Minute).Unix())),
				"no end":                 sign(t, good.but("exp", nil)),
				"not yet":                sign(t, good.but("nbf", time.Now().Add(10*time.Minute).Unix())),
				"nobody":                 sign(t, good.but("sub", nil)),
				"an empty name":          sign(t, good.but("sub", "")),
				"a name that is a list":  sign(t, good.but("sub", array{"ines"})),
				"a name that is a map":   sign(t, good.but("sub", object{"id": "ines"})),
				"an end that is text":    sign(t, good.but("exp", "never")),
				"half of it":             sign(t, object(good))[:80],
				"without its signature":  strings.TrimRight(sign(t, object(good)), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
				"with another's payload": swapped(sign(t, claims("ines")), sign(t, claims("amara"))),
			} {
				r := write(t, token)
				refused(t, r, http.StatusUnauthorized)
				check(t, r.header.Get("WWW-Authenticate") != "", "%s: no WWW-Authenticate", what)
			}
		})
	}
	t.Run("algorithms", func(t *testing.T) {
		for what, token := range map[string]string{
			"none":                      i.token(t, object{"alg": "none", "typ": "JWT"}, claims("ines"), ""),
			"None, with a key":          i.token(t, object{"alg": "None", "kid": "r1"}, claims("ines"), ""),
			"HS256 with a public key":   i.token(t, object{"alg": "HS256", "kid": "r1"}, claims("ines"), "HS256"),
			"PS256, which is not taken": i.token(t, object{"alg": "PS256", "kid": "r1"}, claims("ines"), "PS256"),
			"RS256 that is PS256":       i.token(t, object{"alg": "RS256", "kid": "r1"}, claims("ines"), "PS256"),
			"ES256 that is RS256":       i.token(t, object{"alg": "ES256", "kid": "e1"}, claims("ines"), "RS256"),
			"RS256 with the EC key":     i.token(t, object{"alg": "RS256", "kid": "e1"}, claims("ines"), "RS256"),
			"a key of nobody's":         i.token(t, object{"alg": "RS256", "kid": "r2"}, claims("ines"), "RS256"),
			"another's key":             other.token(t, object{"alg": "RS256", "kid": "r1"}, claims("ines"), "RS256"),
			"another's EC key":          other.token(t, object{"alg": "ES256", "kid": "e1"}, claims("ines"), "ES256"),
			"a key that it brings":      other.token(t, object{"alg": "RS256", "kid": "r1", "jwk": object{"kty": "RSA", "n": base64url(other.rsa.N.Bytes()), "e": "AQAB"}}, claims("ines"), "RS256"),
			"what it says is critical":  i.token(t, object{"alg": "RS256", "kid": "r1", "crit": array{"x"}, "x": 1}, claims("ines"), "RS256"),
		} {
			answered(t, write(t, token), http.StatusUnauthorized, "%s", what)
		}
	})
	if log := d.server.Log.String(); strings.Contains(log, "eyJ") || strings.Contains(log, serviceToken) {
		t.Error("a token is in the log")
	}
}

// swapped is the first token with the payload of the second.
func swapped(first, second string) string {
	a, b := strings.Split(first, "."), strings.Split(second, ".")
	return a[0] + "." + b[1] + "." + a[2]
}

// TestTrustedServices say for whom they act in a header, or that they read as the operator.
func TestTrustedServices(t *testing.T) {
	t.Parallel()
	d := guarded(t, newIssuer(t))
	bearer := []string{"Authorization", "Bearer " + serviceToken}
	operator := append(slices.Clip(bearer), "Caregate-Actor", "operator")
	for _, path := range []string{"/roles", "/patients/p-7", "/team-members/mark/patients", "/bookings", "/changes"} {
		answered(t, d.get(t, path, operator...), http.StatusOK, "a service reads %s", path)
		// A gateway that drops a header opens nothing.
		if p := refused(t, d.get(t, path, bearer...), http.StatusBadRequest); p.Field != "Caregate-Actor" || !strings.Contains(p.Detail, "operator") {
			t.Errorf("%s for nobody: %+v", path, p)
		}
		for _, headers := range [][]string{nil, {"Caregate-Actor", "amara"}, {"Authorization", "Bearer wrong"}, {"Authorization", "Basic " + serviceToken},
			{"Authorization", "Bearer wrong", "Caregate-Actor", "amara"}, {"Authorization", "Bearer portal"}, {"Authorization", "Bearer a.b.c"}} {
			refused(t, d.get(t, path, headers...), http.StatusUnauthorized)
		}
	}
	body := object{"name": "X", "permissions": array{}}
	refused(t, d.put(t, "/roles/x", body, bearer...), http.StatusBadRequest)
	refused(t, d.put(t, "/roles/x", body, operator...), http.StatusForbidden)
	refused(t, d.put(t, "/roles/x", body, append(bearer, "Caregate-Actor", "mark")...), http.StatusForbidden)
	refused(t, d.put(t, "/roles/x", body, "Caregate-Actor", "amara"), http.StatusUnauthorized)
	d.wrote(t, d.put(t, "/roles/x", body, append(bearer, "Caregate-Actor", "amara")...), http.StatusCreated)
	d.wrote(t, d.post(t, "/bookings", visitOf("b-x", "p-1", "mark"), append(bearer, "Caregate-Actor", "patient:p-1")...), http.StatusCreated)
	refused(t, d.get(t, "/roles", append(bearer, "Caregate-Actor", "mark")...), http.StatusForbidden) // it sees what mark sees
}

// TestPatientsBearTokens has the kind of who acts in a claim.
func TestPatientsBearTokens(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	d := guarded(t, i, "--jwt-type-claim", "kind", "--jwt-member-claim", "who", "--jwt-algorithms", "ES256")
	as := func(kind any, who string) []string {
		c := claimsOf(claimsOf(claims("somebody else")).but("who", who)).but("kind", kind)
		return []string{"Authorization", "Bearer " + i.es256(t, c)}
	}
	d.wrote(t, d.post(t, "/bookings", visitOf("b-x", "p-1", "mark"), as("patient", "p-1")...), http.StatusCreated)
	refused(t, d.post(t, "/bookings", visitOf("b-y", "p-2", "mark"), as("patient", "p-1")...), http.StatusForbidden)
	d.wrote(t, d.put(t, "/roles/x", object{"name": "X"}, as("team_member", "amara")...), http.StatusCreated)
	for _, kind := range []any{"provider", "", nil, array{"team_member"}, "Team_Member"} {
		answeredOneOf(t, d.put(t, "/roles/y", object{"name": "Y"}, as(kind, "amara")...), []int{http.StatusUnauthorized, http.StatusForbidden}, "a %v", kind)
	}
	rs := []string{"Authorization", "Bearer " + i.rs256(t, claimsOf(claimsOf(claims("x")).but("who", "amara")).but("kind", "team_member"))}
	refused(t, d.get(t, "/roles", rs...), http.StatusUnauthorized) // RS256 is not among the algorithms
}

// TestTokensAreConfiguredWhole refuses to start with half of it.
func TestTokensAreConfiguredWhole(t *testing.T) {
	t.Parallel()
	keys := newIssuer(t).keys(t)
	bad := writeFile(t, "bad", `{"keys":[]}`)
	for _, c := range []struct {
		says  string
		flags []string
	}{
		{"jwt-issuer", []string{"--jwt-jwks", keys, "--jwt-audience", audience}},
		{"jwt-audience", []string{"--jwt-jwks", keys, "--jwt-issuer", issuerURL}},
		{"jwt-jwks", []string{"--jwt-audience", audience, "--jwt-issuer", issuerURL}},
		{"jwt-jwks", []string{"--jwt-organisation-claim", "clinic"}},
		{"jwt-jwks", []string{"--jwt-jwks", bad, "--jwt-audience", audience, "--jwt-issuer", issuerURL}},
		{"jwt-jwks", []string{"--jwt-jwks", bad + "-not-there", "--jwt-audience", audience, "--jwt-issuer", issuerURL}},
		{"https", []string{"--jwt-jwks", "http://127.0.0.2.example/keys", "--jwt-audience", audience, "--jwt-issuer", issuerURL}},
		{"HS256", []string{"--jwt-jwks", keys, "--jwt-audience", audience, "--jwt-issuer", issuerURL, "--jwt-algorithms", "HS256"}},
		{"none", []string{"--jwt-jwks", keys, "--jwt-audience", audience, "--jwt-issuer", issuerURL, "--jwt-algorithms", "none"}},
		{"--admin-addr", []string{"--admin-addr", "0.0.0.0:0"}},
	} {
		t.Run(fmt.Sprint(c.flags), func(t *testing.T) {
			said := refusesToStart(t, c.flags...)
			check(t, strings.Contains(said, c.says), "it does not speak of %q:\n%s", c.says, said)
		})
	}
}
