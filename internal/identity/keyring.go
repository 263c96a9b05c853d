package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/caregate/caregate/internal/authz"
)

const (
	refreshEvery = 5 * time.Minute  // keys are read again when they are older
	retryEvery   = 10 * time.Second // but never more often than this
	trustFor     = time.Hour        // and not trusted when they are older
	fetchTimeout = 5 * time.Second
	maxKeys      = 100
	minRSA       = 2048 // bits
	maxRSA       = 8192 // and more take longer than a request should
)

// keyring holds the keys that were read last. Requests never wait for keys to be
// read, but for the one that brings a key that is not known, and for those that come
// when nothing is left to trust.
type keyring struct {
	read    func(context.Context) ([]byte, error)
	clock   func() time.Time
	logger  *slog.Logger
	current atomic.Pointer[keySet]

	mu     sync.Mutex
	latest *reading
}

// keySet is the keys that were published at one moment. It does not change.
type keySet struct {
	keys  []key
	alone bool // one key was published, so that tokens need not name it
	at    time.Time
}

// reading is one attempt to read the keys.
type reading struct {
	started time.Time
	done    chan struct{}
}

// find returns the keys that a token may say it is signed with, one at least.
func (r *keyring) find(ctx context.Context, head header) ([]*key, error) {
	set, now := r.current.Load(), r.clock()
	switch age := now.Sub(set.at); {
	case age > trustFor:
		if err := r.refresh(ctx, now).wait(ctx); err != nil {
			return nil, err
		}
		if set = r.current.Load(); now.Sub(set.at) > trustFor {
			return nil, authz.Errorf(authz.Unavailable, "", "the issuer's keys could not be read for %s, and older ones are not trusted; "+
				"look at the log, and at --jwt-jwks", trustFor)
		}
	case age > refreshEvery:
		r.refresh(ctx, now) // for those who come after
	}
	keys := set.find(head)
	if len(keys) == 0 && head.Key != "" { // a newer set may have it
		if err := r.refresh(ctx, now).wait(ctx); err != nil {
			return nil, err
		}
		keys = r.current.Load().find(head)
	}
	if len(keys) == 0 {
		return nil, refused("is signed by a key that its issuer does not publish for that algorithm, or does not say which")
	}
	return keys, nil
}

// find returns the keys of a token: all that have the name it gives, for an issuer may
// give one to several (RFC 7517, section 4.5).
func (s *keySet) find(head header) (keys []*key) {
	for i := range s.keys {
		k := &s.keys[i]
		named := head.Key != "" && k.id == head.Key
		if (named || s.alone && (head.Key == "" || k.id == "")) && k.fits(head.Algorithm) {
			keys = append(keys, k)
		}
	}
	return keys
}

// refresh starts to read the keys, unless that is under way or was tried a moment
// ago. It outlives the request that it was started for.
func (r *keyring) refresh(ctx context.Context, now time.Time) *reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.latest != nil {
		select {
		case <-r.latest.done:
			if now.Sub(r.latest.started) < retryEvery {
				return r.latest
			}
		default:
			return r.latest
		}
	}
	reading := &reading{started: now, done: make(chan struct{})}
	r.latest = reading
	go func() {
		defer close(reading.done)
		if err := r.load(context.WithoutCancel(ctx)); err != nil {
			r.logger.Warn("the issuer's keys cannot be read; those of before hold for an hour after they were read",
				slog.String("error", err.Error()))
		}
	}()
	return reading
}

func (r *reading) wait(ctx context.Context) error {
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return authz.Errorf(authz.Timeout, "", "the issuer's keys were not read in time; ask again")
	}
}

// load reads the keys once.
func (r *keyring) load(ctx context.Context) error {
	at := r.clock()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	b, err := r.read(ctx)
	if err != nil {
		return err
	}
	set, err := r.parse(b)
	if err != nil {
		return err
	}
	set.at = at
	r.current.Store(set)
	return nil
}

// parse reads a JSON Web Key Set (RFC 7517, section 5). Keys that cannot be used are
// left out, as it demands. Its errors repeat nothing of the set, which may be a
// file that holds more than public keys.
func (r *keyring) parse(b []byte) (*keySet, error) {
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if json.Unmarshal(b, &set) != nil { // a name that stands twice is an error, too
		return nil, errors.New("what is there is not a JSON Web Key Set; it looks like {\"keys\":[…]}")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("there are %d keys; a set has at most %d", len(set.Keys), maxKeys)
	}
	parsed := &keySet{alone: len(set.Keys) == 1}
	for i, raw := range set.Keys {
		k, err := parseKey(raw)
		if err == nil && k.id == "" && !parsed.alone {
			err = errors.New("it has no kid, and there are others")
		}
		if err != nil {
			r.logger.Warn("a key of the issuer is left out", slog.Int("index", i), slog.String("reason", err.Error()))
			continue
		}
		parsed.keys = append(parsed.keys, k)
	}
	if len(parsed.keys) == 0 {
		return nil, errors.New("there is no key that can be used; a public key for signatures is needed: RSA of 2048 bits or more, EC or Ed25519")
	}
	return parsed, nil
}

// parseKey reads one key of a set. What it says of its purpose is obeyed.
func parseKey(raw []byte) (key, error) {
	var purpose struct {
		Use        *string   `json:"use"`
		Operations *[]string `json:"key_ops"`
	}
	if json.Unmarshal(raw, &purpose) != nil {
		return key{}, errors.New("it cannot be read")
	}
	if purpose.Use != nil && *purpose.Use != "sig" {
		return key{}, errors.New("its use says that it is not for signatures")
	}
	if purpose.Operations != nil && !slices.Contains(*purpose.Operations, "verify") {
		return key{}, errors.New("its key_ops say that it is not for verifying signatures")
	}
	parsed, err := jwk.ParseKey(raw)
	if err != nil {
		return key{}, errors.New("it cannot be read")
	}
	if private, err := jwk.IsPrivateKey(parsed); err != nil || private {
		return key{}, errors.New("it is a private or a shared key, which nobody but the issuer should have")
	}
	k := key{}
	k.id, _ = parsed.KeyID()
	if alg, ok := parsed.Algorithm(); ok {
		k.algorithm = alg.String()
	}
	if err := jwk.Export(parsed, &k.public); err != nil {
		return key{}, errors.New("it cannot be read")
	}
	return k, k.sound()
}

// sound refuses a key that no signature can be believed of.
func (k *key) sound() error {
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		if n := public.N.BitLen(); n < minRSA || n > maxRSA {
			return fmt.Errorf("it has %d bits, and not %d to %d", n, minRSA, maxRSA)
		}
		if public.E < 3 || public.E%2 == 0 {
			return errors.New("its exponent is not odd, or less than 3")
		}
	case *ecdsa.PublicKey:
		if _, err := public.ECDH(); err != nil {
			return errors.New("it is not a point of its curve")
		}
	case ed25519.PublicKey:
	default:
		return errors.New("it is of a kind that signs nothing")
	}
	return nil
}
