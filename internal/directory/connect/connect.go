package connect

import (
	"cmp"
	"context"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/caregate/caregate/internal/authz"
)

// go-redis waits seconds and tries often by default. A decision waits for the
// facts, so these give up early; what the query of a URL says wins over them.
const (
	dialTimeout      = 500 * time.Millisecond
	factsReadTimeout = 100 * time.Millisecond
	BulkReadTimeout  = 15 * time.Second // for scripts over a thousand records
	maxRetries       = 1
	maxRetryBackoff  = 20 * time.Millisecond
	dialAttempts     = 1 // a failed command is retried already
	noPipelinePool   = -1
)

// Server is how to reach Redis: the options of one of three kinds of client.
type Server struct {
	Single   *redis.Options
	cluster  *redis.ClusterOptions
	sentinel *redis.FailoverOptions
	within   bool // in this process: it answers as soon as it can, and contexts say how long that may be
	conns    *connections
}

// Parse reads the URL of a Redis server, cluster or Sentinel.
func Parse(text string) (Server, error) {
	scheme, rest, found := strings.Cut(text, "://")
	if text == "" || !found {
		return Server{}, badURL("is not a URL; write redis://host:6379, or unix:///path")
	}
	s := Server{conns: new(connections)}
	var err error
	base, kind, _ := strings.Cut(scheme, "+")
	switch {
	case scheme == "redis", scheme == "rediss", scheme == "unix":
		s.Single, err = redis.ParseURL(text)
	case kind == "cluster" && (base == "redis" || base == "rediss"):
		s.cluster, err = redis.ParseClusterURL(base + "://" + rest)
	case kind == "sentinel" && (base == "redis" || base == "rediss"):
		s.sentinel, err = redis.ParseFailoverURL(base + "://" + rest)
		if err == nil && s.sentinel.MasterName == "" {
			return Server{}, badURL("does not say which master the Sentinels watch; add ?master_name=NAME")
		}
	default:
		return Server{}, badURL("has an unknown scheme; use redis, rediss, unix, redis+cluster, rediss+cluster, redis+sentinel or rediss+sentinel")
	}
	if err != nil { // err may repeat any part of the URL
		return Server{}, badURL("cannot be read; write it as redis://user:password@host:6379/0 with special characters " +
			"of the password percent-encoded, and only options that go-redis knows after the ?")
	}
	if s.asksReplicas() {
		return Server{}, badURL("asks replicas, which lag behind what was committed; leave out read_only, route_by_latency, " +
			"route_randomly, replica_only and use_disconnected_replicas")
	}
	return s, nil
}

// asksReplicas reports whether the options of the URL let a replica answer. What
// it says may be old, and no lease would end it.
func (s Server) asksReplicas() bool {
	if o := s.cluster; o != nil {
		return o.ReadOnly || o.RouteByLatency || o.RouteRandomly
	}
	o := s.sentinel
	return o != nil && (o.ReplicaOnly || o.RouteByLatency || o.RouteRandomly || o.UseDisconnectedReplicas)
}

func badURL(message string) error {
	return authz.Errorf(authz.Malformed, "redis", "%s", message)
}

// Within returns the server that a dialer leads to in this process.
func Within(dial func(context.Context, string, string) (net.Conn, error)) Server {
	return Server{Single: &redis.Options{Addr: "embedded", Dialer: dial}, within: true, conns: new(connections)}
}

// IsWithin reports whether the server is in this process.
func (s Server) IsWithin() bool { return s.within }

// IsCluster reports whether the server is a cluster.
func (s Server) IsCluster() bool { return s.cluster != nil }

// Renew has every connection dialled anew before it is used again.
func (s Server) Renew() { s.conns.renew() }

// Client makes a client for decisions or, if bulk, for long scripts.
func (s Server) Client(bulk bool) redis.UniversalClient { return s.pooled(bulk, 0) }

// Once is the server for scripts that write: what may have been done is not sent
// again. In a cluster, where go-redis does so all the same, the script knows its own
// nonce.
func (s Server) Once() Server {
	const never = -1
	switch {
	case s.cluster != nil:
		o := *s.cluster
		o.MaxRetries, s.cluster = never, &o
	case s.sentinel != nil:
		o := *s.sentinel
		o.MaxRetries, s.sentinel = never, &o
	default:
		o := *s.Single
		o.MaxRetries, s.Single = never, &o
	}
	return s
}

// Feed makes a client for calls that wait: one connection for each of them, which
// is kept.
func (s Server) Feed(connections int) redis.UniversalClient { return s.pooled(true, connections) }

// pooled makes a client with up to so many connections, 0 for as many as the URL
// or go-redis says.
func (s Server) pooled(bulk bool, connections int) redis.UniversalClient {
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch {
	case s.cluster != nil:
		o := *s.cluster
		limits{&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.MaxRetryBackoff, &o.MaxRetries, &o.DialerRetries}.set(bulk)
		o.ContextTimeoutEnabled, o.DisableIdentity, o.PipelinePoolSize = true, true, noPipelinePool
		o.MaintNotificationsConfig = quiet
		o.PoolSize = cmp.Or(connections, o.PoolSize)
		o.Dialer = s.dialer(o.DialTimeout)
		setDefault(&o.ConnMaxLifetime, connLifetime)
		client := redis.NewClusterClient(&o)
		client.OnNewNode(func(node *redis.Client) { node.AddHook(&clusterHook{client.ReloadState}) })
		return client
	case s.sentinel != nil: // go-redis disables maintenance notifications itself
		o := *s.sentinel
		limits{&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.MaxRetryBackoff, &o.MaxRetries, &o.DialerRetries}.set(bulk)
		o.ContextTimeoutEnabled, o.DisableIdentity, o.PipelinePoolSize = true, true, noPipelinePool
		o.PoolSize = cmp.Or(connections, o.PoolSize)
		o.Dialer = s.dialer(o.DialTimeout)
		setDefault(&o.ConnMaxLifetime, connLifetime)
		return redis.NewFailoverClient(&o)
	default:
		o := *s.Single
		limits{&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.MaxRetryBackoff, &o.MaxRetries, &o.DialerRetries}.set(bulk)
		if s.within {
			const forever = -1
			o.ReadTimeout, o.WriteTimeout = forever, forever
		} else {
			o.Dialer = s.dialer(o.DialTimeout)
			setDefault(&o.ConnMaxLifetime, connLifetime)
		}
		o.ContextTimeoutEnabled, o.DisableIdentity, o.PipelinePoolSize = true, true, noPipelinePool
		o.MaintNotificationsConfig = quiet
		o.PoolSize = cmp.Or(connections, o.PoolSize)
		return redis.NewClient(&o)
	}
}

// dialer returns what connects to servers, Sentinels too. A client that is given one
// leaves encryption to it.
func (s Server) dialer(timeout time.Duration) dialer {
	return s.conns.bounding(redis.NewDialer(&redis.Options{DialTimeout: timeout, TLSConfig: *s.TLS()}))
}

// limits are the options that the three kinds of client have in common.
type limits struct {
	dial, read, write, backoff *time.Duration
	retries, dials             *int
}

// set sets what the URL left open. The read timeout of the bulk client is not
// left to the URL: one that suits decisions would end imports.
func (l limits) set(bulk bool) {
	setDefault(l.dial, dialTimeout)
	setDefault(l.backoff, maxRetryBackoff)
	setDefault(l.retries, maxRetries)
	setDefault(l.dials, dialAttempts)
	if bulk {
		*l.read, *l.write = BulkReadTimeout, BulkReadTimeout
		return
	}
	setDefault(l.read, factsReadTimeout)
	setDefault(l.write, factsReadTimeout)
}

func setDefault[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}
