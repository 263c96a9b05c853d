package httpapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/httpapi"
)

// half sends the beginning of a request whose body is longer, and returns its connection.
func half(t *testing.T, address string, length int, begun string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := fmt.Fprintf(conn, "POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", length, begun); err != nil {
		t.Fatal(err)
	}
	return conn
}

func answered(t *testing.T, conn net.Conn) int {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

// A body that does not come takes no place in flight from those that do. Of bodies that are
// large so many may arrive at once as may be in flight, and those that wait take nothing from others.
func TestBodiesThatDoNotComeTakeNoPlaceInFlight(t *testing.T) {
	api := newAPI(t, httpapi.Config{MaxInFlight: 2, RequestTimeout: time.Minute, MaxBody: 1 << 20})
	_, l := started(t, httpapi.ServerConfig{ReadTimeout: time.Minute}, api.Decisions(), nil)
	address := l.Addr().String()

	var slow, large []net.Conn
	for range 10 {
		slow = append(slow, half(t, address, len(good), good[:10]))
	}
	begun := `{"x":"` + strings.Repeat("x", 100<<10)
	for range 2 {
		large = append(large, half(t, address, 500<<10, begun))
	}
	whole := func() int { return answered(t, half(t, address, len(good), good)) }
	for began, refused := time.Now(), false; !refused; { // once both of the large ones have come so far
		conn := half(t, address, 500<<10, begun)
		_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			refused = answer.StatusCode == http.StatusTooManyRequests && answer.Header.Get("Retry-After") != ""
			_ = answer.Body.Close()
		}
		if _ = conn.Close(); time.Since(began) > time.Minute {
			t.Fatal("a third large body is not refused")
		}
	}
	for range 20 {
		if status := whole(); status != http.StatusOK {
			t.Fatalf("a decision beside bodies that do not come: %d", status)
		}
	}
	for _, conn := range slow {
		_, _ = io.WriteString(conn, good[10:])
		if status := answered(t, conn); status != http.StatusOK {
			t.Errorf("a body that came late: %d", status)
		}
	}
	for _, conn := range large {
		_ = conn.Close()
	}
	if status := whole(); status != http.StatusOK {
		t.Errorf("a decision afterwards: %d", status)
	}
}
