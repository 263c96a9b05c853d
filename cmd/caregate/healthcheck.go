package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// defaultDiagnosticAddr is where health and metrics are served.
const defaultDiagnosticAddr = ":8282"

// diagnosticAddrFlag adds --diagnostic-addr. Whoever serves there and whoever
// asks there share the flag, so that one setting moves both.
func diagnosticAddrFlag(flags *pflag.FlagSet, addr *string) {
	flags.StringVar(addr, "diagnostic-addr", defaultDiagnosticAddr, "`address` of health and metrics: host:port, :port or unix:///path")
}

func (a *app) healthcheckCommand() *cobra.Command {
	var addr string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running sidecar whether it is ready, for probes",
		Long: `Asks the sidecar on this machine whether it is ready: GET /health/ready at its
diagnostic address. Says nothing and exits with 0 when it is; says why on stderr
and exits with 1 when it is not, or does not answer in time.`,
		Example: `  caregate healthcheck
  caregate healthcheck --diagnostic-addr 127.0.0.1:9000 --timeout 500ms`,
		GroupID: groupRun,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return checkHealth(cmd.Context(), addr, timeout)
		},
	}
	diagnosticAddrFlag(cmd.Flags(), &addr)
	cmd.Flags().DurationVar(&timeout, "timeout", 2*time.Second, "give up after this long")
	flagOnly(cmd, "timeout")
	return a.configurable(cmd)
}

// checkHealth returns nil if the sidecar whose diagnostic listener has the
// address addr says within timeout that it is ready.
func checkHealth(ctx context.Context, addr string, timeout time.Duration) error {
	network, address, err := dialAddr(addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client := http.Client{
		// No proxy and no redirect: the question is for this listener.
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			},
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	host := address
	if network == "unix" {
		host = "localhost"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/health/ready", nil)
	if err != nil {
		return fmt.Errorf("--diagnostic-addr: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("not ready: no answer from %s within %s", addr, timeout)
		}
		return fmt.Errorf("not ready: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	var answer struct{ Reason string }
	if json.NewDecoder(io.LimitReader(response.Body, 4096)).Decode(&answer) != nil || answer.Reason == "" {
		return fmt.Errorf("not ready: %s answered %s", addr, response.Status)
	}
	return fmt.Errorf("not ready: %s", answer.Reason)
}

// dialAddr returns where to dial a listener whose address is addr: on this
// machine if it listens on all addresses.
func dialAddr(addr string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(addr, "unix://"); ok {
		return "unix", path, nil
	}
	hostport := strings.TrimSuffix(strings.TrimPrefix(addr, "http://"), "/")
	host, port, err := net.SplitHostPort(hostport)
	if err != nil || port == "" {
		return "", "", fmt.Errorf("--diagnostic-addr: %q is not an address; write host:port, :port or unix:///path", addr)
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return "tcp", net.JoinHostPort(host, port), nil
}
