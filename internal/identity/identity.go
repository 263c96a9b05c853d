package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/caregate/caregate/internal/authz"
)

const (
	maxToken = 8 << 10          // bytes of a token
	maxID    = 256              // bytes of an id, as in the facts
	leeway   = 30 * time.Second // between the issuer's clock and this one
)

// Config says whose tokens are taken. JWKS, Issuer and Audience are required.
type Config struct {
	// JWKS is where the issuer's public keys are: an https:// URL, an http:// one of
	// this machine alone, or the path of a file.
	JWKS string
	// Issuer and Audience must be in the claims iss and aud.
	Issuer, Audience string
	// Algorithms may sign: of RS, PS and ES with 256, 384 and 512, and EdDSA. None
	// means RS256, ES256 and EdDSA. What needs no key, or a shared one, is refused.
	Algorithms []string
	// MemberClaim holds the id of who acts. "" means sub.
	MemberClaim string
	// TypeClaim says team_member or patient. "" means that everybody is a team member.
	TypeClaim string
	// OrganisationClaim holds the only organisation that the token is good for. ""
	// means that tokens are good for all.
	OrganisationClaim string

	// Clock is the time. nil means time.Now.
	Clock func() time.Time
	// Logger is told when keys cannot be read. nil discards.
	Logger *slog.Logger
	// HTTPClient fetches from a URL. nil means one with a timeout of five seconds.
	// Redirects are followed only to where JWKS could point as well.
	HTTPClient *http.Client
}

// Identity is whom a token speaks for.
type Identity struct {
	Type         string // team_member or patient
	ID           string
	Organisation string // "" when Config names no claim for it
}

// Verifier verifies tokens. It is safe for concurrent use, and needs no closing.
type Verifier struct {
	cfg        Config
	algorithms []string
	keys       *keyring
}

// New returns a verifier. It reads the keys, within ctx: keys that cannot be read
// at the start are an error.
func New(ctx context.Context, cfg Config) (*Verifier, error) {
	switch {
	case cfg.JWKS == "":
		return nil, errors.New("no JWKS; name the URL or the file of the issuer's public keys")
	case cfg.Issuer == "":
		return nil, errors.New("no issuer; give what tokens say in iss, so that no other issuer's are taken")
	case cfg.Audience == "":
		return nil, errors.New("no audience; give what tokens say in aud, so that tokens for other services are not taken")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.MemberClaim = cmp.Or(cfg.MemberClaim, jwt.SubjectKey)
	v := &Verifier{cfg: cfg, algorithms: slices.Clone(cfg.Algorithms)}
	if len(v.algorithms) == 0 {
		v.algorithms = []string{"RS256", "ES256", "EdDSA"}
	}
	for _, name := range v.algorithms {
		if _, ok := algorithm(name); !ok {
			return nil, fmt.Errorf("%q cannot be trusted to sign a token; choose among RS256, RS384, RS512, PS256, PS384, PS512, "+
				"ES256, ES384, ES512 and EdDSA", name)
		}
	}
	read, err := newSource(cfg.JWKS, cfg.HTTPClient)
	if err != nil {
		return nil, err
	}
	v.keys = &keyring{read: read, clock: cfg.Clock, logger: cfg.Logger}
	if err := v.keys.load(ctx); err != nil {
		return nil, err
	}
	return v, nil
}

// Verify returns whom token speaks for. Its errors are of kind Unauthenticated, and
// Unavailable or Timeout when the issuer's keys are too old to trust or a new one
// could not be fetched within ctx. They hold nothing of the token.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	head, err := readHeader(token)
	if err != nil {
		return Identity{}, err
	}
	if !slices.Contains(v.algorithms, head.Algorithm) {
		return Identity{}, refused("is signed by an algorithm that is not taken here; ask the issuer for %s", strings.Join(v.algorithms, ", "))
	}
	keys, err := v.keys.find(ctx, head)
	if err != nil {
		return Identity{}, err
	}
	var claims jwt.Token
	for _, key := range keys {
		if claims, err = key.claims(token, head); err == nil {
			break
		}
	}
	if err != nil {
		return Identity{}, err
	}
	if err := v.valid(claims); err != nil {
		return Identity{}, err
	}
	return v.identity(claims)
}

// valid checks for whom and for when a token was made.
func (v *Verifier) valid(claims jwt.Token) error {
	err := jwt.Validate(claims,
		jwt.WithClock(jwt.ClockFunc(v.cfg.Clock)), jwt.WithAcceptableSkew(leeway), jwt.WithRequiredClaim(jwt.ExpirationKey),
		jwt.WithIssuer(v.cfg.Issuer), jwt.WithAudience(v.cfg.Audience))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jwt.TokenExpiredError()):
		return refused("is expired; get a new one")
	case errors.Is(err, jwt.TokenNotYetValidError()), errors.Is(err, jwt.InvalidIssuedAtError()):
		return refused("is not valid yet; compare the clocks of the issuer and of this machine")
	case errors.Is(err, jwt.InvalidIssuerError()):
		return refused("is of another issuer than the one that is trusted here")
	case errors.Is(err, jwt.InvalidAudienceError()):
		return refused("was made for another audience")
	default:
		return refused("lacks a claim; it needs exp, iss and aud")
	}
}

// identity reads who a token that is verified speaks for.
func (v *Verifier) identity(claims jwt.Token) (who Identity, err error) {
	if who.ID, err = textClaim(claims, v.cfg.MemberClaim); err != nil {
		return Identity{}, err
	}
	who.Type = "team_member"
	if v.cfg.TypeClaim != "" {
		if who.Type, err = textClaim(claims, v.cfg.TypeClaim); err != nil {
			return Identity{}, err
		}
		if who.Type != "team_member" && who.Type != "patient" {
			return Identity{}, refused("has a claim %s that is neither team_member nor patient", v.cfg.TypeClaim)
		}
	}
	if v.cfg.OrganisationClaim != "" {
		if who.Organisation, err = textClaim(claims, v.cfg.OrganisationClaim); err != nil {
			return Identity{}, err
		}
	}
	return who, nil
}

// textClaim returns a claim that must be an id.
func textClaim(claims jwt.Token, name string) (string, error) {
	var value any
	if err := claims.Get(name, &value); err != nil {
		return "", refused("has no claim %s", name)
	}
	id, ok := value.(string)
	if !ok || id == "" || len(id) > maxID || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) {
		return "", refused("has a claim %s that is not a text of 1 to %d bytes without control characters", name, maxID)
	}
	return id, nil
}

// refused says why a token is not taken. The arguments are the operator's words,
// never the token's.
func refused(format string, args ...any) *authz.Error {
	return authz.Errorf(authz.Unauthenticated, "Authorization", "the token "+format, args...)
}
