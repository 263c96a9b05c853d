package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/authz"
)

// cause is why Redis gave no answer: a word for it, and what that means and what to
// do. All of it is text of ours. What a server says may quote what it was asked, and
// so hold ids; nothing of it is kept.
type cause struct{ word, says string }

func (c cause) Error() string { return c.word }

// Unavailable classes an error of Redis: it is a Timeout if ctx, the caller's,
// is over, and otherwise says that nothing is known now.
func Unavailable(ctx context.Context, err error) *authz.Error {
	if e, ok := errors.AsType[*authz.Error](err); ok { // classed already
		return e
	}
	why := causeOf(err)
	if errors.Is(ctx.Err(), context.Canceled) {
		return &authz.Error{Kind: authz.Timeout, Message: "cancelled while waiting for Redis", Err: why}
	}
	// The socket's deadline is that of ctx and may be noticed first.
	deadline, ok := ctx.Deadline()
	if ctx.Err() != nil || ok && !time.Now().Before(deadline) {
		return &authz.Error{Kind: authz.Timeout, Message: "the time allowed ran out while waiting for Redis", Err: why}
	}
	return &authz.Error{Kind: authz.Unavailable, Message: "Redis did not give an answer (" + why.word + "): " + why.says, Err: why}
}

// causeOf returns the cause that an error of the client has.
func causeOf(err error) cause {
	if said, ok := errors.AsType[redis.Error](err); ok {
		return saidBy(said.Error())
	}
	var errno syscall.Errno
	var timeout net.Error
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, errMoving):
		return cause{"ASK", "the facts of this organisation are being moved to another node of the cluster; wait until they have arrived"}
	case errors.Is(err, errAnnounced):
		return cause{"too large", "a reply announced more than any answer has, and the connection was ended; check that this is the Redis that is meant"}
	case errors.Is(err, redis.ErrClosed):
		return cause{"closed", "this process is stopping"}
	case errors.Is(err, redis.ErrPoolTimeout):
		return cause{"no connection", "more ask at once than there are connections; raise pool_size in the URL"}
	case isDNS && dns.IsTimeout:
		return cause{"name server", "the name of its host was not resolved in time; check the name server"}
	case isDNS:
		return cause{"unknown host", "the name of its host cannot be resolved; check the URL"}
	case isTLS(err):
		return cause{"TLS", "the two do not agree on certificates or encryption; check --redis-ca, --redis-cert, and the names in the certificate of the server"}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return cause{"timeout", "it did not answer in time; check that it runs, is reachable and is not overloaded"}
	case errors.As(err, &errno): // a text of this machine
		return cause{errno.Error(), "check that it runs and is reachable"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return cause{"connection ended", "the server, or something before it, ended the connection; check that it runs and is reachable"}
	case strings.HasPrefix(err.Error(), "redis: all sentinels"):
		return cause{"no Sentinel", "no Sentinel says where the master is; check the Sentinels, and master_name"}
	case strings.HasPrefix(err.Error(), "redis: cannot load cluster slots"), strings.HasPrefix(err.Error(), "cluster has no nodes"):
		return cause{"no node", "no node of the cluster says where the slots are; check the nodes"}
	default:
		return cause{"not understood", "its reply is not one of Redis's; check that this is a Redis server"}
	}
}

func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		alert        tls.AlertError
		record       tls.RecordHeaderError
		authority    x509.UnknownAuthorityError
		host         x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return errors.As(err, &verification) || errors.As(err, &alert) || errors.As(err, &record) ||
		errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}

// saidBy returns the cause that an error reply of a server has. It looks at how the
// reply begins, and nothing else of it goes on.
func saidBy(reply string) cause {
	for _, known := range knownReplies() {
		if strings.HasPrefix(reply, known.begins) {
			return known.cause
		}
	}
	return cause{"an error", "it answered with an error that is none of those known here; check that it is Redis 7 or later, and its log"}
}

type knownReply struct {
	begins string
	cause
}

// knownReplies are the errors of servers that are told apart, a longer beginning
// before a shorter one. Those of commands in scripts begin like those of commands,
// but for permissions and missing commands.
func knownReplies() []knownReply {
	noperm := cause{"NOPERM", "its user may not give a command that is needed, or not for these keys; enter the line of this user in docs/operating.md anew"}
	unknown := cause{"unknown command", "a command is missing there; it was renamed, or the server is older than Redis 7"}
	return []knownReply{
		{"NOPERM", noperm},
		{"ERR ACL failure in script", noperm},
		{"ERR The user executing the script can't", noperm},
		{"NOAUTH", cause{"NOAUTH", "it wants a user and a password; put them into the URL"}},
		{"WRONGPASS", cause{"WRONGPASS", "it does not take the user and the password; correct the URL, or the user"}},
		{"ERR Client sent AUTH", cause{"AUTH", "it takes no password; leave it out of the URL, or set one there"}},
		{"ERR AUTH", cause{"AUTH", "it takes no password; leave it out of the URL, or set one there"}},
		{"MISCONF", cause{"MISCONF", "it takes no changes because it cannot write to its disk; see its log and its disk"}},
		{"READONLY replicas", cause{"min-replicas", "the master has fewer replicas in good state than --min-replicas asks for; check the replicas"}},
		{"READONLY", cause{"READONLY", "the server is a replica, and only a master is believed; let the address lead to the master"}},
		{"NOREPLICAS", cause{"NOREPLICAS", "the master has fewer replicas in good state than its min-replicas-to-write asks for, and takes no changes; check the replicas"}},
		{"OOM", cause{"OOM", "its memory is full; raise maxmemory, or make room"}},
		{"LOADING", cause{"LOADING", "it has been started and still reads its data; wait"}},
		{"BUSY", cause{"BUSY", "a script has been running there for too long; see its log"}},
		{"WRONGTYPE", cause{"WRONGTYPE", "a key is of another type than Caregate gives it; only Caregate may write its keys, restore them from an export"}},
		{"MASTERDOWN", cause{"MASTERDOWN", "the server is a replica that has lost its master; let the address lead to the master"}},
		{"CLUSTERDOWN", cause{"CLUSTERDOWN", "the cluster does not have all of its slots; see CLUSTER INFO"}},
		{"TRYAGAIN", cause{"TRYAGAIN", "the facts of this organisation are being moved to another node of the cluster; wait until they have arrived"}},
		{"MOVED", cause{"MOVED", "another node of the cluster has the facts; write redis+cluster:// in the URL"}},
		{"ASK", cause{"ASK", "the facts of this organisation are being moved to another node of the cluster; wait until they have arrived"}},
		{"CROSSSLOT", cause{"CROSSSLOT", "the server takes the keys of an organisation for those of several slots; check that this is a Redis cluster"}},
		{"UNBLOCKED", cause{"UNBLOCKED", "the server has become a replica; let the address lead to the master"}},
		{"DENIED", cause{"DENIED", "it is in protected mode; give it users with passwords, or let it listen where this process is"}},
		{"NOPROTO", cause{"NOPROTO", "it does not speak the protocol that is asked for; add ?protocol=2 to the URL"}},
		{"NOSCRIPT", cause{"NOSCRIPT", "it forgets scripts as soon as it has them; check that this is a Redis server"}},
		{"ERR unknown command", unknown},
		{"ERR Unknown Redis command", unknown},
		{"ERR unknown subcommand", unknown},
		{"ERR This Redis command is not allowed from script", unknown},
		{"ERR max number of clients", cause{"max clients", "it has as many clients as it may have; raise maxclients, or lower pool_size in the URLs"}},
		{"ERR DB index", cause{"DB index", "it has no database with the number that the URL names; correct the URL"}},
		{"ERR invalid DB index", cause{"DB index", "it has no database with the number that the URL names; correct the URL"}},
	}
}
