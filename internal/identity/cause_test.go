package identity_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/identity"
)

// answering is a server that reads a request and answers with text as it is.
func answering(t *testing.T, text string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = fmt.Fprint(conn, text)
			}
			_ = conn.Close()
		}
	}()
	return "http://" + listener.Addr().String() + "/keys"
}

// Nothing that a server of keys says goes into an error, and from there into a log.
func TestAnIssuersWordsAreNotRepeated(t *testing.T) {
	const canary = "canary-7f3a"
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	for what, c := range map[string]struct{ place, says string }{
		"a status line":            {answering(t, canary+"\r\n\r\n"), "not one of HTTP"},
		"a status":                 {answering(t, "HTTP/1.1 "+canary+" x\r\n\r\n"), "not one of HTTP"},
		"a reason":                 {answering(t, "HTTP/1.1 500 "+canary+"\r\nContent-Length: 0\r\n\r\n"), "it answers 500"},
		"a version":                {answering(t, "HTTP/"+canary+" 200 OK\r\n\r\n"), "not one of HTTP"},
		"a header":                 {answering(t, "HTTP/1.1 200 OK\r\n"+canary+"\r\n\r\n"), "not one of HTTP"},
		"a transfer":               {answering(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: "+canary+"\r\n\r\n"), "not one of HTTP"},
		"a length":                 {answering(t, "HTTP/1.1 200 OK\r\nContent-Length: "+canary+"\r\n\r\n"), "not one of HTTP"},
		"a redirect":               {answering(t, "HTTP/1.1 302 Found\r\nLocation: http://"+canary+".example/\r\nContent-Length: 0\r\n\r\n"), "https://"},
		"a redirect that is none":  {answering(t, "HTTP/1.1 302 Found\r\nLocation: http://["+canary+"\r\nContent-Length: 0\r\n\r\n"), "not one of HTTP"},
		"a redirect to a user":     {answering(t, "HTTP/1.1 302 Found\r\nLocation: https://"+canary+"@h.example/\r\nContent-Length: 0\r\n\r\n"), "no user"},
		"a chunk":                  {answering(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+canary+"\r\n"), "not one of HTTP"},
		"half an answer":           {answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"+canary), "connection ended"},
		"no answer":                {answering(t, ""), "connection ended"},
		"a body":                   {answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n"+canary), "not a JSON Web Key Set"},
		"nobody there":             {"http://127.0.0.1:1/keys", "connection refused"},
		"a certificate of its own": {secure.URL + "/keys", "certificates"},
		"no TLS":                   {strings.Replace(answering(t, "HTTP/1.1 400 "+canary+"\r\n\r\n"), "http:", "https:", 1), ""},
	} {
		_, err := identity.New(t.Context(), identity.Config{JWKS: c.place, Issuer: "i", Audience: "a"})
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "x509") {
			t.Errorf("%s: %v, expected %q", what, err, c.says)
		}
	}
}
