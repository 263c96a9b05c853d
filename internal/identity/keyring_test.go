package identity_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/identity"
)

func TestRotation(t *testing.T) {
	before, after := newSigner(t, "ES256", "2025"), newSigner(t, "ES256", "2026")
	p := publish(t, before.public())
	c := newClock()
	v := verifier(t, identity.Config{JWKS: p.server.URL, Clock: c.Now})
	accept(t, v, before.token(c.claims(nil)), mark)
	if n := p.asked.Load(); n != 1 {
		t.Fatalf("asked %d times", n)
	}
	refuse(t, v, after.token(c.claims(nil)), "does not publish")
	p.keys(t, before.public(), after.public())
	refuse(t, v, after.token(c.claims(nil)), "does not publish") // asked a moment ago
	if n := p.asked.Load(); n != 2 {
		t.Fatalf("asked %d times", n)
	}
	c.pass(11 * time.Second)
	accept(t, v, after.token(c.claims(nil)), mark)
	accept(t, v, before.token(c.claims(nil)), mark)

	p.keys(t, after.public())
	c.pass(6 * time.Minute)
	accept(t, v, before.token(c.claims(nil)), mark) // its set is good while the next is fetched
	eventually(t, func() bool {
		_, err := v.Verify(t.Context(), before.token(c.claims(nil)))
		return err != nil
	})
	accept(t, v, after.token(c.claims(nil)), mark)
}

func TestUnknownKeysDoNotFloodTheIssuer(t *testing.T) {
	s := newSigner(t, "ES256", "k")
	p := publish(t, s.public())
	c := newClock()
	v := verifier(t, identity.Config{JWKS: p.server.URL, Clock: c.Now})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { refuse(t, v, newSigner(t, "EdDSA", "x").token(c.claims(nil)), "does not publish") })
	}
	all.Wait()
	if n := p.asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

func TestDeadIssuerBlocksNobody(t *testing.T) {
	s := newSigner(t, "ES256", "k")
	p := publish(t, s.public())
	c := newClock()
	v := verifier(t, identity.Config{JWKS: p.server.URL, Clock: c.Now})
	hang := make(chan struct{})
	p.answers(func(http.ResponseWriter, *http.Request) { <-hang })
	defer close(hang)
	c.pass(6 * time.Minute)
	began := time.Now()
	for range 100 {
		accept(t, v, s.token(c.claims(nil)), mark)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := v.Verify(ctx, newSigner(t, "ES256", "x").token(c.claims(nil))); authz.KindOf(err) != authz.Timeout {
		t.Errorf("an unknown key: %v", err)
	}
	accept(t, v, s.token(c.claims(nil)), mark)
}

func TestOldKeysAreNotTrusted(t *testing.T) {
	s := newSigner(t, "ES256", "k")
	p := publish(t, s.public())
	c := newClock()
	v := verifier(t, identity.Config{JWKS: p.server.URL, Clock: c.Now})
	p.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	c.pass(59 * time.Minute)
	accept(t, v, s.token(c.claims(nil)), mark)
	c.pass(2 * time.Minute)
	eventually(t, func() bool {
		_, err := v.Verify(t.Context(), s.token(c.claims(nil)))
		return authz.KindOf(err) == authz.Unavailable
	})
	p.keys(t, s.public())
	c.pass(11 * time.Second)
	accept(t, v, s.token(c.claims(nil)), mark) // the first to come waits for them
}

func TestBadAnswersLeaveTheKeys(t *testing.T) {
	s := newSigner(t, "ES256", "k")
	elsewhere := publish(t, newSigner(t, "ES256", "k").public())
	p := publish(t, s.public())
	c := newClock()
	v := verifier(t, identity.Config{JWKS: p.server.URL, Clock: c.Now})
	for what, answer := range map[string]http.HandlerFunc{
		"rubbish": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"no keys": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":[]}`) },
		"endless": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat(" ", 2<<20)) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://login.example.org/", http.StatusFound)
		},
		"a loop": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) },
		"missing": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.server.URL+"\n", http.StatusNotFound)
		},
	} {
		p.answers(answer)
		c.pass(time.Minute)
		refuse(t, v, newSigner(t, "ES256", "new").token(c.claims(nil)), "does not publish")
		accept(t, v, s.token(c.claims(nil)), mark)
		if t.Failed() {
			t.Fatal(what)
		}
	}
}

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for range 500 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it never happened")
}
