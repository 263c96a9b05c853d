package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/identity"
)

const (
	issuer   = "https://login.example.org"
	audience = "caregate"
)

// signer signs tokens with a key of its own, by hand: the library under test has no
// part in it.
type signer struct {
	t         *testing.T
	id        string
	algorithm string
	private   crypto.Signer
}

func newSigner(t *testing.T, algorithm, id string) *signer {
	t.Helper()
	var private crypto.Signer
	var err error
	switch algorithm {
	case "RS256":
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &signer{t, id, algorithm, private}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func object(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return encode(b)
}

// public returns the signer's public key as a JSON Web Key.
func (s *signer) public() map[string]any {
	k := map[string]any{"use": "sig"}
	if s.id != "" {
		k["kid"] = s.id
	}
	switch public := s.private.Public().(type) {
	case *rsa.PublicKey:
		k["kty"], k["n"], k["e"] = "RSA", encode(public.N.Bytes()), encode(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			s.t.Fatal(err)
		}
		k["kty"], k["crv"], k["x"], k["y"] = "EC", "P-256", encode(point[1:33]), encode(point[33:])
	case ed25519.PublicKey:
		k["kty"], k["crv"], k["x"] = "OKP", "Ed25519", encode(public)
	}
	return k
}

// token signs claims under the signer's own header.
func (s *signer) token(claims map[string]any) string {
	return s.signed(map[string]any{"alg": s.algorithm, "kid": s.id, "typ": "JWT"}, claims)
}

// signed signs claims under any header.
func (s *signer) signed(header, claims map[string]any) string {
	s.t.Helper()
	input := object(s.t, header) + "." + object(s.t, claims)
	var signature []byte
	var err error
	digest := sha256.Sum256([]byte(input))
	switch private := s.private.(type) {
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		r, v, signErr := ecdsa.Sign(rand.Reader, private, digest[:])
		err = signErr
		if err == nil {
			signature = append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...)
		}
	case ed25519.PrivateKey:
		signature = ed25519.Sign(private, []byte(input))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return input + "." + encode(signature)
}

// shared signs as HS256 does.
func shared(t *testing.T, header, claims map[string]any, secret []byte) string {
	t.Helper()
	input := object(t, header) + "." + object(t, claims)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + encode(mac.Sum(nil))
}

// clock is a time that tests move.
type clock struct{ now atomic.Pointer[time.Time] }

func newClock() *clock {
	c := new(clock)
	start := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	c.now.Store(&start)
	return c
}

func (c *clock) Now() time.Time { return *c.now.Load() }

func (c *clock) pass(d time.Duration) {
	now := c.Now().Add(d)
	c.now.Store(&now)
}

// claims are those of a good token, with changes; a nil takes a claim away.
func (c *clock) claims(changes map[string]any) map[string]any {
	m := map[string]any{
		"iss": issuer, "aud": audience, "sub": "mark",
		"iat": c.Now().Unix(), "exp": c.Now().Add(5 * time.Minute).Unix(),
	}
	maps.Copy(m, changes)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

// publisher publishes key sets over HTTP.
type publisher struct {
	server *httptest.Server
	asked  atomic.Int64

	mu     sync.Mutex
	answer http.HandlerFunc
}

func publish(t *testing.T, keys ...map[string]any) *publisher {
	t.Helper()
	p := new(publisher)
	p.keys(t, keys...)
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		p.mu.Lock()
		answer := p.answer
		p.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(p.server.Close)
	return p
}

func (p *publisher) answers(h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = h
}

func (p *publisher) keys(t *testing.T, keys ...map[string]any) {
	t.Helper()
	b := keySet(t, keys...)
	p.answers(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) })
}

func keySet(t *testing.T, keys ...map[string]any) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// verifier makes one for the good issuer and audience.
func verifier(t *testing.T, cfg identity.Config) *identity.Verifier {
	t.Helper()
	cfg.Issuer, cfg.Audience = issuer, audience
	v, err := identity.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func accept(t *testing.T, v *identity.Verifier, token string, want identity.Identity) {
	t.Helper()
	got, err := v.Verify(t.Context(), token)
	if err != nil || got != want {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
}

// refuse makes sure that a token is nobody's, and that the error says why without it.
func refuse(t *testing.T, v *identity.Verifier, token, why string) {
	t.Helper()
	got, err := v.Verify(t.Context(), token)
	if err == nil {
		t.Fatalf("accepted as %+v, want %q", got, why)
	}
	if got != (identity.Identity{}) || authz.KindOf(err) != authz.Unauthenticated || !strings.Contains(err.Error(), why) {
		t.Errorf("%+v, kind %v: %v; want %q", got, authz.KindOf(err), err, why)
	}
	for part := range strings.SplitSeq(token, ".") {
		if len(part) > 8 && strings.Contains(err.Error(), part) {
			t.Errorf("the error holds the token: %v", err)
		}
	}
	if strings.Contains(err.Error(), "mark") {
		t.Errorf("the error holds an id: %v", err)
	}
}
