package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/plaintext"
	"github.com/caregate/caregate/internal/wire"
)

// checking is the settings of caregate check.
type checking struct {
	app    *app
	policy policySource
	facts  factsSource
	asked  questionFlags

	server, tokenFile string
	timeout           time.Duration
	asJSON            bool
}

func (a *app) checkCommand() *cobra.Command {
	c := &checking{app: a}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Ask one question: may this subject do this to that?",
		Long: `Asks one question and prints the answer with its reasons. Exits with 0 for an
allow, 2 for a deny and 1 when there is no answer.

It answers by itself from --facts (or the example organisation), from --redis, or
asks a running sidecar with --server.`,
		Example: `  caregate check --subject team_member:mark --action view --resource patient:p-1
  caregate check --subject team_member:mark --action create --resource appointment:new --property patient=p-1
  caregate check --server http://127.0.0.1:8181 --subject patient:p-1 --action book --resource provider:mark`,
		GroupID: groupAsk,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	c.asked.flags(cmd, "who asks, as `type:id`", "what they want to do it to, as `type:id`")
	flags.StringVar(&c.server, "server", "", "ask the sidecar at this `address`: http(s)://host:port or unix:///path")
	flags.StringVar(&c.tokenFile, "token-file", "", "bear the token in this `file` when asking --server")
	flags.DurationVar(&c.timeout, "timeout", 5*time.Second, "give up after this long")
	flags.BoolVar(&c.asJSON, "json", false, "print the answer as JSON")
	must(cmd.MarkFlagFilename("token-file"))
	c.facts.flags(cmd)
	c.policy.flags(cmd)
	flagOnly(cmd, "server", "token-file", "timeout", "json")
	return a.configurable(cmd)
}

// answer is what a check prints: an AuthZEN answer with what it is a function of.
type answer struct {
	Decision bool            `json:"decision"`
	Context  json.RawMessage `json:"context,omitempty"`
	Revision string          `json:"revision,omitempty"`
	Policy   string          `json:"policy,omitempty"`
}

func (c *checking) run(ctx context.Context) error {
	request, err := c.asked.request()
	if err != nil {
		return usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var got answer
	if c.server != "" {
		got, err = c.ask(ctx, request)
	} else {
		got, err = c.answer(ctx, request)
	}
	if err != nil {
		return err
	}
	if err := c.print(got); err != nil {
		return err
	}
	if !got.Decision {
		return answeredNo{}
	}
	return nil
}

// answer answers in this process.
func (c *checking) answer(ctx context.Context, request *authz.Request) (answer, error) {
	o, err := openHere(ctx, c.app, &c.policy, &c.facts)
	if err != nil {
		return answer{}, err
	}
	defer o.close()
	d, stated, err := o.decisions.Decide(ctx, c.facts.organisation, request, authz.Freshness{})
	return answer{Decision: d.Allow, Context: d.Context, Revision: stated.Revision.String(), Policy: stated.Policy}, err
}

// ask asks a running sidecar.
func (c *checking) ask(ctx context.Context, request *authz.Request) (answer, error) {
	client, base, err := clientFor(c.server)
	if err != nil {
		return answer{}, err
	}
	body, err := wire.Append(nil, wire.RequestOf(request))
	if err != nil {
		return answer{}, err
	}
	// The organisation goes along only if somebody named it: the sidecar has a
	// default of its own.
	path := "/access/v1/evaluation"
	if c.app.source("organisation").rank != rankDefault {
		path = "/organisations/" + url.PathEscape(c.facts.organisation) + path
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("--server: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	if c.tokenFile != "" {
		token, err := plaintext.ReadFile(c.tokenFile)
		if err != nil {
			return answer{}, fmt.Errorf("--token-file: %w", err)
		}
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	response, err := client.Do(r)
	if err != nil {
		return answer{}, fmt.Errorf("--server: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return answer{}, fmt.Errorf("--server: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		var problem wire.Problem
		_ = json.Unmarshal(text, &problem) // a body that is no problem document says nothing
		return answer{}, fmt.Errorf("--server: %s: %s", response.Status, cmp.Or(problem.Detail, problem.Title, "no reason given"))
	}
	got := answer{Revision: response.Header.Get("Caregate-Revision"), Policy: response.Header.Get("Caregate-Policy")}
	if err := json.Unmarshal(text, &got); err != nil {
		return answer{}, fmt.Errorf("--server: the answer is not AuthZEN's: %w", err)
	}
	return got, nil
}

// clientFor returns a client for the sidecar at an address, and the URL that
// paths are added to.
func clientFor(server string) (*http.Client, string, error) {
	if path, ok := strings.CutPrefix(server, "unix://"); ok {
		return &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", path)
			},
		}}, "http://localhost", nil
	}
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, "", errors.New("--server: write http://host:port, https://host:port or unix:///path")
	}
	return http.DefaultClient, strings.TrimRight(server, "/"), nil
}

// print prints an answer for a reader, or as JSON.
func (c *checking) print(got answer) error {
	if c.asJSON {
		return json.NewEncoder(c.app.stdout).Encode(got)
	}
	text := word(got.Decision) + "\n"
	if len(got.Context) > 0 {
		text += "  " + string(got.Context) + "\n"
	}
	if got.Revision != "" {
		text += "  at revision " + got.Revision + "\n"
	}
	_, err := io.WriteString(c.app.stdout, text)
	return err
}
