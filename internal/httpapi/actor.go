package httpapi

import (
	"context"
	"strings"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/review"
)

// Verifier knows callers by signed tokens.
type Verifier interface {
	// Verify returns whom token speaks for, within ctx. An error of kind
	// Unauthenticated means nobody. No error holds anything of the token.
	Verify(ctx context.Context, token string) (Bearer, error)
}

// Bearer is whom a signed token speaks for.
type Bearer struct {
	Actor        admin.Actor
	Organisation string // the only one that the token is good for, "" for any
}

// headerActor is where a trusted service says for whom it acts, and operator is what it
// says there to act for nobody: to read everything, and to change nothing. It is said, and
// never what a header means that got lost on the way.
const (
	headerActor = "Caregate-Actor"
	operator    = "operator"
)

// The types of actor.
const (
	typeMember  = "team_member"
	typePatient = "patient"
)

// administering is a handler that knows who acts. The zero actor is a trusted
// service that acts for nobody: on the admin listener it is the operator's.
type administering func(x *exchange, actor admin.Actor) error

// viewing is a handler of the decisions listener that knows who looks. The zero viewer is
// a service that looks for nobody.
type viewing func(x *exchange, viewer review.Viewer) error

// governing makes a handler of the admin listener answer a trusted service, and whoever
// administers by the policy. All others are refused in the same words (A5).
func (a *API) governing(h handler) handler {
	return func(x *exchange) error {
		bearer, signed, err := a.caller(x)
		if err != nil {
			return err
		}
		actor, _, err := a.named(x, bearer, signed)
		if err != nil {
			return err
		}
		if actor != (admin.Actor{}) {
			if a.cfg.Administration == nil {
				return authz.Errorf(authz.Forbidden, "", "nobody administers here; ask as a service that acts for nobody")
			}
			if err := a.cfg.Administration.Administers(x.ctx, x.organisation(), actor); err != nil {
				return err
			}
		}
		return h(x)
	}
}

// reading makes a handler know who acts. What a request may not have is refused.
func (a *API) reading(h administering, may accepted) handler {
	return func(x *exchange) error {
		actor, err := a.actor(x)
		if err != nil {
			return err
		}
		if err := x.accepts(may); err != nil {
			return err
		}
		return h(x, actor)
	}
}

// writing is reading for what changes something: nobody may (A1, A3).
func (a *API) writing(h administering, may accepted) handler {
	return a.reading(func(x *exchange, actor admin.Actor) error {
		if actor == (admin.Actor{}) {
			return authz.Errorf(authz.Forbidden, headerActor,
				"the operator reads, and a change needs somebody who may make it; send the id of the acting team member, or their own signed token")
		}
		return h(x, actor)
	}, may)
}

// caller makes sure that whoever sent a request is known: by a signed token, which
// names who acts, or as a trusted service, by a token of the tokens file or, where
// nobody is asked who they are, by being able to reach the listener. Where the names of
// clients are said, the certificate of each of these has one of them as well.
func (a *API) caller(x *exchange) (bearer Bearer, signed bool, err error) {
	if err := a.clients.admits(x); err != nil {
		return Bearer{}, false, err
	}
	return a.callerBy(x, a.cfg.AdminTokens)
}

// callerBy is caller where trusted services bear one of tokens, nil for none.
func (a *API) callerBy(x *exchange, tokens *Tokens) (bearer Bearer, signed bool, err error) {
	if a.cfg.Verifier != nil {
		if token, ok := signedToken(x.request.Header["Authorization"]); ok {
			bearer, err = a.cfg.Verifier.Verify(x.ctx, token)
			if authz.KindOf(err) == authz.Unauthenticated {
				x.header()["Www-Authenticate"] = []string{`Bearer realm="caregate", error="invalid_token"`}
			}
			return bearer, true, err
		}
	}
	switch {
	case tokens != nil:
		if _, ok := tokens.Caller(x.request.Header); ok {
			return Bearer{}, false, nil
		}
	case a.cfg.Verifier == nil:
		return Bearer{}, false, nil // under which name was looked at before: see host.go
	}
	x.header()["Www-Authenticate"] = []string{`Bearer realm="caregate"`}
	return Bearer{}, false, &authz.Error{Kind: authz.Unauthenticated}
}

// asViewer makes a handler of the decisions listener know who looks. Whoever may ask for
// decisions may ask here too, as one who acts for nobody; they may say for whom they act,
// and a signed token says it as well, both as on the admin listener: where signed tokens
// are taken and callers bear no others, nothing else counts. Only a service that bears a
// token asks about everybody in somebody's name; whom others name asks for themselves.
func (a *API) asViewer(h viewing) handler {
	return func(x *exchange) error {
		tokens := a.cfg.Tokens
		_, claims := signedToken(x.request.Header["Authorization"])
		if tokens == nil && a.cfg.Verifier != nil && !claims && len(x.request.Header[headerActor]) == 0 {
			return h(x, review.Viewer{})
		}
		bearer, signed, err := a.callerBy(x, tokens)
		if err != nil {
			return err
		}
		actor, _, err := a.named(x, bearer, signed)
		if err != nil {
			return err
		}
		mere := tokens == nil && !signed && actor != (admin.Actor{})
		if mere {
			if err := a.clients.names(x); err != nil {
				return err
			}
		}
		return h(x, review.Viewer{Actor: actor, Own: signed || mere})
	}
}

// asAdministrator is asViewer for what only administrators are told. Whether somebody is
// one is decided behind it.
func (a *API) asAdministrator(h viewing) handler {
	return a.asViewer(func(x *exchange, viewer review.Viewer) error {
		if viewer.Actor == (admin.Actor{}) {
			return authz.Errorf(authz.Forbidden, headerActor,
				"nobody is named, and administrators alone are told; send the id of the team member who asks, or their own signed token")
		}
		return h(x, viewer)
	})
}

// signedToken returns the bearer token of a request if it has the form of a signed
// one: three parts with dots between them.
func signedToken(given []string) (string, bool) {
	if len(given) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	token = strings.Trim(token, " ")
	return token, strings.EqualFold(scheme, "Bearer") && strings.Count(token, ".") == 2
}

// actor returns who acts on the admin listener: whom a signed token names, else whom a
// trusted service does, which has to name somebody, or the operator.
func (a *API) actor(x *exchange) (admin.Actor, error) {
	bearer, signed, err := a.caller(x)
	if err != nil {
		return admin.Actor{}, err
	}
	actor, named, err := a.named(x, bearer, signed)
	if err == nil && !named {
		err = authz.Errorf(authz.Malformed, headerActor,
			"is not there; send the id of the team member for whom you act, or %s to read as the operator, who changes nothing", operator)
	}
	return actor, err
}

// named returns who acts when the caller is known, and whether anybody was named.
func (a *API) named(x *exchange, bearer Bearer, signed bool) (actor admin.Actor, named bool, err error) {
	given := x.request.Header[headerActor]
	if actor, err = namedActor(given); err != nil || !signed {
		return actor, len(given) > 0, err
	}
	if bearer.Organisation != "" && bearer.Organisation != x.organisation() {
		return admin.Actor{}, true, authz.Errorf(authz.Forbidden, "", "the token is good for another organisation; name that one in the path")
	}
	if len(given) > 0 && actor != bearer.Actor {
		return admin.Actor{}, true, authz.Errorf(authz.Forbidden, headerActor, "names somebody else than the token does; leave the header out")
	}
	return bearer.Actor, true, nil
}

// namedActor reads Caregate-Actor: an id of a team member, or a type, a colon and
// an id; or the operator, who is nobody. A team member who is called so is named with
// their type.
func namedActor(given []string) (admin.Actor, error) {
	if len(given) == 0 || len(given) == 1 && given[0] == operator {
		return admin.Actor{}, nil
	}
	actor := admin.Actor{Type: typeMember, ID: given[0]}
	for _, typ := range []string{typeMember, typePatient} {
		if id, ok := strings.CutPrefix(given[0], typ+":"); ok {
			actor = admin.Actor{Type: typ, ID: id}
		}
	}
	if len(given) > 1 || !admin.ValidID(actor.ID) {
		return admin.Actor{}, authz.Errorf(authz.Malformed, headerActor,
			"must be one id of a team member, or team_member: or patient: and an id, of at most %d bytes", admin.MaxID)
	}
	return actor, nil
}
