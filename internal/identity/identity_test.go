package identity_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/identity"
)

var mark = identity.Identity{Type: "team_member", ID: "mark"}

// one serves a single key from a file.
func one(t *testing.T, s *signer, cfg identity.Config) (*identity.Verifier, *clock) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, keySet(t, s.public()), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newClock()
	cfg.JWKS, cfg.Clock = path, c.Now
	return verifier(t, cfg), c
}

func TestEveryDefaultAlgorithm(t *testing.T) {
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		s := newSigner(t, algorithm, "k")
		v, c := one(t, s, identity.Config{})
		accept(t, v, s.token(c.claims(nil)), mark)
		accept(t, v, s.signed(map[string]any{"alg": algorithm}, c.claims(nil)), mark) // one key needs no name
		accept(t, v, s.token(c.claims(map[string]any{"aud": []string{"other", audience}})), mark)
	}
}

func TestClaims(t *testing.T) {
	s := newSigner(t, "ES256", "k")
	v, c := one(t, s, identity.Config{})
	now := c.Now()
	for _, test := range []struct {
		claim string
		value any
		why   string
	}{
		{"iss", "https://login.example.net", "another issuer"},
		{"iss", nil, "another issuer"},
		{"aud", "other", "another audience"},
		{"aud", []string{"other"}, "another audience"},
		{"aud", nil, "another audience"},
		{"exp", nil, "lacks a claim"},
		{"exp", now.Add(-31 * time.Second).Unix(), "expired"},
		{"exp", "soon", "claim exp that is not a time"},
		{"nbf", now.Add(32 * time.Second).Unix(), "not valid yet"},
		{"iat", now.Add(32 * time.Second).Unix(), "not valid yet"},
		{"sub", nil, "no claim sub"},
		{"sub", "", "claim sub"},
		{"sub", "a\nb", "claim sub"},
		{"sub", strings.Repeat("x", 257), "claim sub"},
	} {
		refuse(t, v, s.token(c.claims(map[string]any{test.claim: test.value})), test.why)
	}
	for claim, value := range map[string]any{
		"exp": now.Add(-29 * time.Second).Unix(), "nbf": now.Add(29 * time.Second).Unix(), "iat": now.Add(29 * time.Second).Unix(),
	} {
		accept(t, v, s.token(c.claims(map[string]any{claim: value})), mark)
	}
}

func TestWhoActs(t *testing.T) {
	s := newSigner(t, "ES256", "k")
	v, c := one(t, s, identity.Config{MemberClaim: "staff_id", TypeClaim: "kind", OrganisationClaim: "org"})
	with := func(more map[string]any) string {
		claims := c.claims(map[string]any{"staff_id": "p-1", "kind": "patient", "org": "riverside"})
		for name, value := range more {
			claims[name] = value
		}
		return s.token(claims)
	}
	accept(t, v, with(nil), identity.Identity{Type: "patient", ID: "p-1", Organisation: "riverside"})
	accept(t, v, with(map[string]any{"kind": "team_member"}), identity.Identity{Type: "team_member", ID: "p-1", Organisation: "riverside"})
	refuse(t, v, with(map[string]any{"kind": "service"}), "neither team_member nor patient")
	refuse(t, v, with(map[string]any{"kind": 1}), "claim kind")
	refuse(t, v, with(map[string]any{"org": []string{"riverside"}}), "claim org")
	refuse(t, v, s.token(c.claims(nil)), "no claim staff_id")
	refuse(t, v, s.token(c.claims(map[string]any{"staff_id": "x", "kind": "patient"})), "no claim org")
}

func TestSignatures(t *testing.T) {
	s := newSigner(t, "RS256", "k")
	v, c := one(t, s, identity.Config{})
	claims := c.claims(nil)
	good := s.token(claims)
	parts := strings.Split(good, ".")
	head := map[string]any{"alg": "RS256", "kid": "k"}
	alg := func(name string) map[string]any { return map[string]any{"alg": name, "kid": "k"} }
	modulus, err := base64.RawURLEncoding.DecodeString(s.public()["n"].(string))
	if err != nil {
		t.Fatal(err)
	}
	flipped := []byte(parts[2])
	flipped[10] ^= 1

	accept(t, v, good, mark)
	for what, test := range map[string]struct{ token, why string }{
		"none":                  {object(t, alg("none")) + "." + parts[1] + ".", "algorithm"},
		"none in capitals":      {object(t, alg("NONE")) + "." + parts[1] + ".", "algorithm"},
		"no algorithm":          {s.signed(map[string]any{"kid": "k"}, claims), "algorithm"},
		"HS256 with the key":    {shared(t, alg("HS256"), claims, modulus), "algorithm"},
		"HS256 with its JWK":    {shared(t, alg("HS256"), claims, keySet(t, s.public())), "algorithm"},
		"an unpinned one":       {s.signed(alg("RS512"), claims), "algorithm"},
		"PS256":                 {s.signed(alg("PS256"), claims), "algorithm"},
		"another kind of key":   {s.signed(alg("ES256"), claims), "does not publish"},
		"other claims":          {parts[0] + "." + object(t, c.claims(map[string]any{"sub": "jordan"})) + "." + parts[2], "signature"},
		"another header":        {object(t, map[string]any{"kid": "k", "alg": "RS256", "x": 1}) + "." + parts[1] + "." + parts[2], "signature"},
		"another signature":     {parts[0] + "." + parts[1] + "." + string(flipped), "signature"},
		"no signature":          {parts[0] + "." + parts[1] + ".", "signature"},
		"another key, its name": {newSigner(t, "RS256", "k").token(claims), "signature"},
		"a key of its own":      {newSigner(t, "RS256", "k").signed(map[string]any{"alg": "RS256", "kid": "k", "jwk": s.public()}, claims), "signature"},
		"an extension":          {s.signed(map[string]any{"alg": "RS256", "kid": "k", "crit": []string{"b64"}, "b64": false}, claims), "extension"},
		"two algorithms":        {encode([]byte(`{"alg":"none","alg":"RS256"}`)) + "." + parts[1] + "." + parts[2], "header"},
		"oversize":              {s.signed(head, c.claims(map[string]any{"pad": strings.Repeat("x", 9000)})), "longer"},
		"two parts":             {parts[0] + "." + parts[1], "three parts"},
		"five parts":            {good + ".a.b", "three parts"},
		"nothing":               {"", "three parts"},
		"dots":                  {"..", "header"},
		"padding":               {parts[0] + "=." + parts[1] + "." + parts[2], "header"},
	} {
		t.Run(what, func(t *testing.T) { refuse(t, v, test.token, test.why) })
	}
}

// A text is no time, whatever number it spells, and neither is one that no clock shows.
func TestTimesAreNumbers(t *testing.T) {
	s := newSigner(t, "ES256", "k")
	v, c := one(t, s, identity.Config{})
	now := c.Now().Unix()
	number := func(format string) json.RawMessage { return json.RawMessage(fmt.Sprintf(format, now)) }
	for _, claim := range []string{"exp", "nbf", "iat"} {
		for _, value := range []any{
			fmt.Sprint(now), fmt.Sprint(now + 60), c.Now().Format(time.RFC3339), "", nil, true, []int64{now}, map[string]any{"$date": now},
			json.RawMessage("-1"), json.RawMessage("-0.5"), json.RawMessage("1e400"), json.RawMessage("-1e400"), json.RawMessage("253402300800"),
			json.RawMessage("9223372036854775808"), json.RawMessage("1e300"), number("%d000"), // milliseconds
		} {
			claims := c.claims(nil)
			claims[claim] = value
			refuse(t, v, s.token(claims), "claim "+claim+" that is not a time")
		}
	}
	for claim, values := range map[string][]json.RawMessage{
		"exp": {number("%d.9"), number("%d.000001"), number("%d.0"), json.RawMessage("253402300799"), json.RawMessage("9999999999")},
		"nbf": {number("%d.9"), number("%d"), json.RawMessage("0"), json.RawMessage("0.5")},
		"iat": {number("%d.9"), number("%d"), json.RawMessage("0")},
	} {
		for _, value := range values {
			accept(t, v, s.token(c.claims(map[string]any{claim: value})), mark)
		}
	}
	refuse(t, v, s.token(c.claims(map[string]any{"exp": 0})), "expired")
	refuse(t, v, s.token(c.claims(map[string]any{"exp": json.RawMessage("0.5")})), "expired")
}

// Each key of a name is tried: issuers that rotate keys give two the same.
func TestSeveralKeysOfOneName(t *testing.T) {
	first, second, third := newSigner(t, "ES256", "k"), newSigner(t, "ES256", "k"), newSigner(t, "RS256", "k")
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, keySet(t, first.public(), second.public(), third.public()), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newClock()
	v := verifier(t, identity.Config{JWKS: path, Clock: c.Now})
	for _, s := range []*signer{first, second, third} {
		accept(t, v, s.token(c.claims(nil)), mark)
	}
	refuse(t, v, newSigner(t, "ES256", "k").token(c.claims(nil)), "signature")
}

// A key says by itself what it is for, and that is held to.
func TestKeysAreForWhatTheySay(t *testing.T) {
	s := newSigner(t, "ES256", "k")
	for what, change := range map[string]func(map[string]any){
		"encryption":               func(k map[string]any) { k["use"] = "enc" },
		"another algorithm":        func(k map[string]any) { k["alg"] = "ES384" },
		"an encryption algorithm":  func(k map[string]any) { k["alg"] = "ECDH-ES" },
		"no algorithm":             func(k map[string]any) { k["alg"] = "none" },
		"an algorithm, a number":   func(k map[string]any) { k["alg"] = 256 },
		"an unknown use":           func(k map[string]any) { k["use"] = "SIG" },
		"no use at all":            func(k map[string]any) { k["use"] = "" },
		"a list of uses":           func(k map[string]any) { k["use"] = []string{"sig"} },
		"signing":                  func(k map[string]any) { k["key_ops"] = []string{"sign"} },
		"deriving keys":            func(k map[string]any) { delete(k, "use"); k["key_ops"] = []string{"deriveKey", "deriveBits"} },
		"encrypting":               func(k map[string]any) { delete(k, "use"); k["key_ops"] = []string{"encrypt", "wrapKey"} },
		"no operation":             func(k map[string]any) { delete(k, "use"); k["key_ops"] = []string{} },
		"an operation as a text":   func(k map[string]any) { delete(k, "use"); k["key_ops"] = "verify" },
		"encryption and verifying": func(k map[string]any) { k["use"], k["key_ops"] = "enc", []string{"verify"} },
		"a point of no curve":      func(k map[string]any) { k["y"] = k["x"] },
		"another curve":            func(k map[string]any) { k["crv"] = "P-384" },
		"a name that is a number":  func(k map[string]any) { k["kid"] = 1 },
		"its private half":         func(k map[string]any) { k["d"] = k["x"] },
	} {
		k := s.public()
		change(k)
		path := filepath.Join(t.TempDir(), "jwks.json")
		good := newSigner(t, "EdDSA", "other")
		if err := os.WriteFile(path, keySet(t, k, good.public()), 0o600); err != nil {
			t.Fatal(err)
		}
		c := newClock()
		v := verifier(t, identity.Config{JWKS: path, Clock: c.Now})
		t.Run(what, func(t *testing.T) {
			refuse(t, v, s.token(c.claims(nil)), "does not publish")
			accept(t, v, good.token(c.claims(nil)), mark)
			refuse(t, v, good.signed(map[string]any{"alg": "EdDSA"}, c.claims(nil)), "does not publish")
		})
	}
}

func TestKeysThatSayWhatTheyAreFor(t *testing.T) {
	s := newSigner(t, "ES256", "k")
	for _, change := range []map[string]any{
		{"key_ops": []string{"verify"}}, {"key_ops": []string{"sign", "verify"}, "use": "sig"}, {"alg": "ES256"}, {"x5c": []string{}}, {"more": 1},
	} {
		k := s.public()
		delete(k, "use")
		maps.Copy(k, change)
		path := filepath.Join(t.TempDir(), "jwks.json")
		if err := os.WriteFile(path, keySet(t, k), 0o600); err != nil {
			t.Fatal(err)
		}
		c := newClock()
		accept(t, verifier(t, identity.Config{JWKS: path, Clock: c.Now}), s.token(c.claims(nil)), mark)
	}
}

func TestNewFailsClosed(t *testing.T) {
	folder := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", string(keySet(t, newSigner(t, "EdDSA", "k").public())))
	weak := `{"keys":[{"kty":"RSA","kid":"k","e":"AQAB","n":"` + encode(append([]byte{0xff}, make([]byte, 127)...)) + `"}]}`
	for what, test := range map[string]struct {
		cfg  identity.Config
		want string
	}{
		"no JWKS":       {identity.Config{Issuer: "i", Audience: "a"}, "JWKS"},
		"no issuer":     {identity.Config{JWKS: good, Audience: "a"}, "issuer"},
		"no audience":   {identity.Config{JWKS: good, Issuer: "i"}, "audience"},
		"none":          {identity.Config{JWKS: good, Issuer: "i", Audience: "a", Algorithms: []string{"none"}}, `"none"`},
		"HS256":         {identity.Config{JWKS: good, Issuer: "i", Audience: "a", Algorithms: []string{"RS256", "HS256"}}, `"HS256"`},
		"no file":       {identity.Config{JWKS: filepath.Join(folder, "gone"), Issuer: "i", Audience: "a"}, "gone"},
		"rubbish":       {identity.Config{JWKS: file("rubbish", "secret!"), Issuer: "i", Audience: "a"}, "JSON Web Key Set"},
		"no key":        {identity.Config{JWKS: file("empty", `{"keys":[]}`), Issuer: "i", Audience: "a"}, "no key"},
		"a shared key":  {identity.Config{JWKS: file("oct", `{"keys":[{"kty":"oct","kid":"k","k":"c2VjcmV0ISE"}]}`), Issuer: "i", Audience: "a"}, "no key"},
		"a weak key":    {identity.Config{JWKS: file("weak", weak), Issuer: "i", Audience: "a"}, "no key"},
		"two sets":      {identity.Config{JWKS: file("two", `{"keys":[],"keys":`+string(keySet(t, newSigner(t, "EdDSA", "k").public()))[8:]), Issuer: "i", Audience: "a"}, "JSON Web Key Set"},
		"a name twice":  {identity.Config{JWKS: file("twice", strings.Replace(string(keySet(t, newSigner(t, "EdDSA", "k").public())), `"use":"sig"`, `"use":"enc","use":"sig"`, 1)), Issuer: "i", Audience: "a"}, "JSON Web Key Set"},
		"e of 1":        {identity.Config{JWKS: file("one", `{"keys":[{"kty":"RSA","kid":"k","e":"AQ","n":"`+encode(append([]byte{0xff}, make([]byte, 255)...))+`"}]}`), Issuer: "i", Audience: "a"}, "no key"},
		"a huge key":    {identity.Config{JWKS: file("huge", `{"keys":[{"kty":"RSA","kid":"k","e":"AQAB","n":"`+encode(append([]byte{0xff}, make([]byte, 2048)...))+`"}]}`), Issuer: "i", Audience: "a"}, "no key"},
		"no signer":     {identity.Config{JWKS: file("x", `{"keys":[{"kty":"OKP","crv":"X25519","kid":"k","x":"`+encode(make([]byte, 32))+`"}]}`), Issuer: "i", Audience: "a"}, "no key"},
		"many keys":     {identity.Config{JWKS: file("many", `{"keys":[`+strings.Repeat("{},", 100)+`{}]}`), Issuer: "i", Audience: "a"}, "101 keys"},
		"a mark":        {identity.Config{JWKS: file("mark", "\uFEFF"+string(keySet(t, newSigner(t, "EdDSA", "k").public()))), Issuer: "i", Audience: "a"}, "byte order mark"},
		"UTF-16":        {identity.Config{JWKS: file("utf16", "\xFF\xFE{\x00}\x00"), Issuer: "i", Audience: "a"}, "is UTF-16"},
		"an endless":    {identity.Config{JWKS: file("large", strings.Repeat(" ", 2<<20)), Issuer: "i", Audience: "a"}, "bytes"},
		"plain http":    {identity.Config{JWKS: "http://login.example.org/keys", Issuer: "i", Audience: "a"}, "https://"},
		"a user":        {identity.Config{JWKS: "https://u:secret!@login.example.org/keys", Issuer: "i", Audience: "a"}, "no user"},
		"a dead URL":    {identity.Config{JWKS: "http://127.0.0.1:1/secret!", Issuer: "i", Audience: "a"}, "cannot be fetched"},
		"another place": {identity.Config{JWKS: "ftp://login.example.org/keys", Issuer: "i", Audience: "a"}, "https://"},
	} {
		_, err := identity.New(t.Context(), test.cfg)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret!") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
