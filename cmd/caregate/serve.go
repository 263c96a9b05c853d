package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/filter"
	"github.com/caregate/caregate/internal/heap"
	"github.com/caregate/caregate/internal/httpapi"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/review"
	"github.com/caregate/caregate/internal/search"
	"github.com/caregate/caregate/internal/telemetry"
)

// defaultAdminAddr is where administration is served with an embedded store,
// which has no other writer.
const defaultAdminAddr = "127.0.0.1:8383"

// serving is the settings of caregate serve.
type serving struct {
	app    *app
	policy policySource
	facts  factsSource
	cache  cacheSettings

	addrs                          []string
	diagnosticAddr, adminAddr      string
	publicURL                      string
	allowedHosts                   []string
	tokens, adminTokens            string
	tables                         tablesSource
	jwt                            tokenSource
	tlsCert, tlsKey, tlsClientCA   string
	adminClientNames               []string
	allowUnauthenticated           bool
	maxBody                        int64
	maxBatch, maxInFlight, maxLong int
	requestTimeout                 time.Duration
	shutdownDelay, shutdownTimeout time.Duration
}

func (a *app) serveCommand() *cobra.Command {
	s := &serving{app: a}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the sidecar",
		Long: `Runs the sidecar: decisions, health and metrics, and if asked for
administration, each on an address of its own.

Without --redis and --facts it runs on an example organisation in an embedded
store, of which nothing is kept, and prints what to try.`,
		Example: `  caregate serve
  caregate serve --facts organisation.jsonl --organisation riverside
  caregate serve --redis rediss://redis.example:6379 --addr unix:///run/caregate.sock
  caregate serve --policies policies --data data`,
		GroupID: groupRun,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&s.addrs, "addr", []string{"127.0.0.1:8181"}, "`address` of decisions: host:port or unix:///path; may be repeated")
	diagnosticAddrFlag(flags, &s.diagnosticAddr)
	flags.StringVar(&s.adminAddr, "admin-addr", "", "`address` of administration; off without one, but for "+defaultAdminAddr+" with the example organisation")
	flags.StringVar(&s.publicURL, "public-url", "", "`URL` at which callers reach the decisions, for the AuthZEN metadata; made of --addr when there is none")
	flags.StringSliceVar(&s.allowedHosts, "allowed-hosts", nil,
		"`names` by which callers may ask over loopback without tokens, beside localhost, addresses and the host of --public-url")
	flags.StringVar(&s.tokens, "tokens", "", "callers bear a token of this `file`, one \"name token\" a line")
	flags.StringVar(&s.adminTokens, "admin-tokens", "", "callers of administration bear a token of this `file`")
	flags.StringVar(&s.tlsCert, "tls-cert", "", "serve TLS with the certificate in this PEM `file`")
	flags.StringVar(&s.tlsKey, "tls-key", "", "key of --tls-cert, a PEM `file`")
	flags.StringVar(&s.tlsClientCA, "tls-client-ca", "", "callers show a certificate signed by one in this PEM `file`")
	flags.StringSliceVar(&s.adminClientNames, "admin-client-names", nil,
		"`names`, DNS or URI, of which the certificate of a caller of administration has one; needs --tls-client-ca")
	flags.BoolVar(&s.allowUnauthenticated, "allow-unauthenticated", false,
		"let everybody who can reach a non-loopback address ask everything; without it such an address needs --tokens or --tls-client-ca")
	flags.Int64Var(&s.maxBody, "max-body", httpapi.DefaultMaxBody, "refuse requests of more than this many `bytes`")
	flags.IntVar(&s.maxBatch, "max-batch", httpapi.DefaultMaxBatch, "refuse batches of more than this many `evaluations`")
	flags.IntVar(&s.maxInFlight, "max-in-flight", httpapi.DefaultMaxInFlight, "refuse `requests` while this many are being answered")
	flags.IntVar(&s.maxLong, "max-long-answers", 0,
		"work out this `many` explanations, reviews, previews and filtered lists at a time, 0 for half of the processors; they give way to decisions")
	flags.DurationVar(&s.requestTimeout, "request-timeout", httpapi.DefaultRequestTimeout, "give up on a request after this long")
	flags.DurationVar(&s.shutdownDelay, "shutdown-delay", 0, "when told to stop, say not ready and answer on for this long")
	flags.DurationVar(&s.shutdownTimeout, "shutdown-timeout", 10*time.Second, "then wait this long for requests in flight")
	for _, name := range []string{"tokens", "admin-tokens", "tls-cert", "tls-key", "tls-client-ca"} {
		must(cmd.MarkFlagFilename(name))
	}
	s.tables.flags(flags)
	must(cmd.MarkFlagFilename("filters", "json"))
	s.jwt.flags(flags)
	s.facts.flags(cmd)
	s.facts.changesFlags(flags)
	s.cache.flags(flags)
	s.policy.flags(cmd)
	return a.configurable(cmd)
}

// run serves until ctx ends.
func (s *serving) run(ctx context.Context) error {
	log := s.app.log
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // which would end the process, and never may
	defer signal.Stop(hangups)
	go sayHangups(ctx, hangups, log)
	embedded, err := s.facts.embedded(s.app)
	if err != nil {
		return err
	}
	example := embedded && s.facts.file == ""
	if named := s.app.source("organisation"); example && named.rank != rankDefault && s.facts.organisation != data.ExampleOrganisation {
		return usagef("%s: names %q, and there are no facts of it: give --redis or --facts, or leave it out to run the example organisation",
			named.name, s.facts.organisation)
	}
	adminAsked := s.adminAddr != ""
	if example && !adminAsked {
		s.adminAddr = defaultAdminAddr
	}
	if err := errors.Join(s.jwt.check(), s.facts.checkChanges(), s.checkAddresses()); err != nil {
		return err
	}
	snapshot, err := s.policy.load(ctx)
	if err != nil {
		return err
	}
	if snapshot.Administration() == nil && s.adminAddr != "" {
		if adminAsked { // it would refuse everybody
			return usagef("%s: nobody can administer by this policy: its data declares no administration; add administration/data.json to the "+
				"folder of --data, as policies/README.md says, or leave this out", s.app.source("admin-addr").name)
		}
		s.adminAddr = ""
		log.Warn("administration is off: the policy's data declares no administration")
	}
	if reason := snapshot.General(); reason != nil {
		log.Warn("the policy is evaluated by the general evaluator, more slowly", "reason", reason.Error())
	}
	read, records, err := s.facts.openStore(ctx, embedded)
	if err != nil {
		return s.app.aboutSetting(err)
	}
	store, err := s.cache.cacheOn(read, log)
	if err != nil {
		return errors.Join(err, read.Close())
	}
	defer func() { _ = store.Close() }()
	if embedded {
		log.Warn("the facts are in an embedded store: nothing is kept when this process ends",
			"organisation", s.facts.organisation, "records", records)
	}
	telemetry.ReportSDKErrors(log)
	b := readBuild()
	t, err := telemetry.New(ctx, telemetry.Config{Version: b.Version, OPAVersion: b.OPA, Getenv: s.app.getenv})
	if err != nil {
		return err
	}
	t.PolicyLoaded(snapshot.Digest())
	t.Cache(cacheStats(store))
	t.Answers(snapshot.Answered)
	ready := httpapi.NewReadiness(func(ctx context.Context) error { return store.Ready(ctx, s.facts.organisation) })
	go heap.Keep(ctx, s.app.getenv)
	err = s.serve(ctx, t, store, snapshot, ready, example)
	// ctx may have ended, and the last spans still have to go somewhere.
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.shutdownTimeout)
	defer cancel()
	if err := t.Shutdown(flush); err != nil {
		log.Warn("telemetry", "error", err.Error())
	}
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// sayHangups says what SIGHUP does: files of tokens and certificates are read again when
// they change, without it, and nothing else is read twice.
func sayHangups(ctx context.Context, hangups <-chan os.Signal, log *slog.Logger) {
	for {
		select {
		case <-hangups:
			log.Info("SIGHUP changes nothing: files of tokens and certificates are read again by themselves, and for everything else restart")
		case <-ctx.Done():
			return
		}
	}
}

// serve answers until ctx ends, then stops in order: not ready first, then the
// requests in flight.
func (s *serving) serve(
	ctx context.Context, t *telemetry.Telemetry, store *directory.Cache, snapshot *policy.Snapshot,
	ready *httpapi.Readiness, example bool,
) error {
	log := s.app.log
	tables, err := s.tables.loadTables(example, snapshot.Catalogue())
	if err != nil {
		return err
	}
	bound, err := s.listen()
	if err != nil {
		return err
	}
	api, config, err := s.api(ctx, t, store, snapshot, ready, bound, tables)
	if err != nil {
		for _, l := range bound {
			_ = l.listener.Close()
		}
		return err
	}
	server := httpapi.NewServer(httpapi.ServerConfig{
		Logger:       log,
		WriteTimeout: max(httpapi.DefaultWriteTimeout, s.requestTimeout+httpapi.DefaultWriteTimeout/3), // to write what took so long
	})
	for _, l := range bound {
		switch l.name {
		case "decisions":
			server.Add(l.name, l.listener, api.Decisions(), tlsFor(l, config))
		case "diagnostic":
			server.Add(l.name, l.listener, api.Diagnostics(), nil)
		case "admin":
			server.Add(l.name, l.listener, api.Admin(), tlsFor(l, config))
		}
		log.Info("listening", "listener", l.name, "addr", l.address())
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	ready.Ready()
	log.Info("ready", "policy", snapshot.Digest())
	if example {
		s.printWhatToTry(bound)
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping", "delay", s.shutdownDelay.String())
	ready.NotReady("stopping")
	time.Sleep(s.shutdownDelay) // callers are still answered
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.shutdownTimeout)
	defer cancel()
	api.EndStreams()
	return server.Shutdown(finish)
}

// api makes the API, and the TLS configuration if there is one.
func (s *serving) api(
	ctx context.Context, t *telemetry.Telemetry, store *directory.Cache, snapshot *policy.Snapshot,
	ready *httpapi.Readiness, bound []listening, tables *filter.Tables,
) (*httpapi.API, *tls.Config, error) {
	log := s.app.log
	var config *tls.Config
	var err error
	if s.tlsCert != "" || s.tlsKey != "" || s.tlsClientCA != "" {
		config, err = httpapi.NewTLS(httpapi.TLSFiles{Cert: s.tlsCert, Key: s.tlsKey, ClientCA: s.tlsClientCA, Logger: log})
		if err != nil {
			return nil, nil, err
		}
	}
	tokens, err := readTokens(s.tokens, log)
	if err != nil {
		return nil, nil, fmt.Errorf("--tokens: %w", err)
	}
	adminTokens, err := readTokens(s.adminTokens, log)
	if err != nil {
		return nil, nil, fmt.Errorf("--admin-tokens: %w", err)
	}
	signed, err := s.jwt.openVerifier(ctx, log)
	if err != nil {
		return nil, nil, err
	}
	rules := t.Rules(snapshot)
	service := authz.NewService(t.Directory(store), rules)
	api, err := httpapi.New(httpapi.Config{
		Service:        service,
		Administration: admin.NewService(service, store),
		Organisation:   s.facts.organisation,
		PublicURL:      s.url(bound, config != nil),
		AllowedHosts:   append(s.listeningNames(), s.allowedHosts...),
		MaxBody:        s.maxBody,
		MaxBatch:       s.maxBatch,
		MaxInFlight:    s.maxInFlight,
		MaxLong:        s.maxLong,
		RequestTimeout: s.requestTimeout,
		Tokens:         tokens,
		AdminTokens:    adminTokens,

		AdminClientNames: s.adminClientNames,

		Verifier:   signed,
		Searcher:   measuredSearcher{search.NewService(service, rules, store, &watcher{log: log, t: t}), t},
		Filterer:   filter.NewService(service, rules, store, tables),
		Reviewer:   review.NewService(service, rules, store),
		Readiness:  ready,
		Metrics:    t.MetricsHandler(),
		Policy:     activePolicy{snapshot, time.Now()},
		Logger:     log,
		Tracer:     t.Tracer,
		Propagator: t.Propagator,
		Observer:   observer{t},
	})
	return api, config, err
}

func readTokens(path string, log *slog.Logger) (*httpapi.Tokens, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no file, nobody is asked
	}
	return httpapi.NewTokens(path, log)
}

// tlsFor returns the TLS configuration of a listener: a unix socket has none,
// the file system says who may use it.
func tlsFor(l listening, config *tls.Config) *tls.Config {
	if l.listener.Addr().Network() == "unix" {
		return nil
	}
	return config
}

// url is where callers reach the decisions: what was configured, else the first
// address that names a host.
func (s *serving) url(bound []listening, secure bool) string {
	if s.publicURL != "" {
		return strings.TrimRight(s.publicURL, "/")
	}
	for _, l := range bound {
		tcp, ok := l.listener.Addr().(*net.TCPAddr)
		if l.name != "decisions" || !ok || tcp.IP.IsUnspecified() {
			continue
		}
		if secure {
			return "https://" + tcp.String()
		}
		return "http://" + tcp.String()
	}
	return ""
}

// listeningNames are the names of hosts in the addresses that are listened on.
func (s *serving) listeningNames() (names []string) {
	for _, addr := range append([]string{s.diagnosticAddr, s.adminAddr}, s.addrs...) {
		if host, _, err := net.SplitHostPort(addr); err == nil && host != "" && net.ParseIP(host) == nil {
			names = append(names, host)
		}
	}
	return names
}

// activePolicy tells the administration which policy answers.
type activePolicy struct {
	snapshot *policy.Snapshot
	since    time.Time
}

func (p activePolicy) ActivePolicy() httpapi.ActivePolicy {
	return httpapi.ActivePolicy{Digest: p.snapshot.Digest(), Activated: p.since, Files: p.snapshot.Files()}
}

// observer counts what the API did.
type observer struct{ t *telemetry.Telemetry }

func (o observer) RequestFinished(_ context.Context, route, method string, status int, took time.Duration) {
	o.t.RequestDone(route, method, status, took)
}

func (o observer) DecisionMade(_ context.Context, outcome httpapi.Outcome) {
	o.t.DecisionMade(string(outcome))
}
