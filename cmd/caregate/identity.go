package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/pflag"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/httpapi"
	"github.com/caregate/caregate/internal/identity"
)

// tokenSource says whose signed tokens (JWT) are taken for administration.
type tokenSource struct {
	jwks, issuer, audience                    string
	algorithms                                []string
	memberClaim, typeClaim, organisationClaim string
}

func (s *tokenSource) flags(flags *pflag.FlagSet) {
	flags.StringVar(&s.jwks, "jwt-jwks", "", "callers of administration bear a JWT signed by a key at this `URL` or file; needs --jwt-issuer and --jwt-audience")
	flags.StringVar(&s.issuer, "jwt-issuer", "", "what such a token has to say in its claim iss")
	flags.StringVar(&s.audience, "jwt-audience", "", "what such a token has to say in its claim aud")
	flags.StringSliceVar(&s.algorithms, "jwt-algorithms", nil, "`algorithms` that may sign it (default RS256,ES256,EdDSA)")
	flags.StringVar(&s.memberClaim, "jwt-member-claim", "", "`claim` that holds the id of who acts (default sub)")
	flags.StringVar(&s.typeClaim, "jwt-type-claim", "", "`claim` that says team_member or patient; without it everybody is a team member")
	flags.StringVar(&s.organisationClaim, "jwt-organisation-claim", "",
		"`claim` that holds the only organisation that the token is good for; without it tokens are good for all")
}

// check refuses settings that would take no tokens although somebody asked for it,
// or those of somebody else.
func (s *tokenSource) check() error {
	some := s.issuer != "" || s.audience != "" || len(s.algorithms) > 0 ||
		s.memberClaim != "" || s.typeClaim != "" || s.organisationClaim != ""
	if s.jwks == "" && !some {
		return nil
	}
	var errs []error
	for _, required := range []struct{ flag, value, why string }{
		{"--jwt-jwks", s.jwks, "where the keys are that tokens are signed with"},
		{"--jwt-issuer", s.issuer, "whose tokens are taken"},
		{"--jwt-audience", s.audience, "for whom tokens are made that are taken"},
	} {
		if required.value == "" {
			errs = append(errs, fmt.Errorf("%s is missing: say %s, or leave out every --jwt flag", required.flag, required.why))
		}
	}
	return errors.Join(errs...)
}

// openVerifier returns what verifies tokens, nil when none are taken. It reads the keys.
func (s *tokenSource) openVerifier(ctx context.Context, log *slog.Logger) (httpapi.Verifier, error) {
	if s.jwks == "" {
		return nil, nil //nolint:nilnil // no keys, no tokens
	}
	v, err := identity.New(ctx, identity.Config{
		JWKS: s.jwks, Issuer: s.issuer, Audience: s.audience, Algorithms: s.algorithms,
		MemberClaim: s.memberClaim, TypeClaim: s.typeClaim, OrganisationClaim: s.organisationClaim, Logger: log,
	})
	if err != nil {
		return nil, fmt.Errorf("--jwt-jwks: %w", err)
	}
	return verifier{v}, nil
}

// verifier tells the API whom a token speaks for.
type verifier struct{ tokens *identity.Verifier }

func (v verifier) Verify(ctx context.Context, token string) (httpapi.Bearer, error) {
	who, err := v.tokens.Verify(ctx, token)
	if err != nil {
		return httpapi.Bearer{}, err
	}
	return httpapi.Bearer{Actor: admin.Actor{Type: who.Type, ID: who.ID}, Organisation: who.Organisation}, nil
}
