package authz

import (
	"context"
	"encoding/json"
)

// Rules is a policy that answers more than single questions, all from the one text
// of data.authz.allow.
type Rules interface {
	Policy
	// Residual returns what is left of allow for q when open is not known. Of what is
	// open q names the type alone; everything else it has, with its facts. That what
	// is open exists is taken for granted. An error that has an *Outside among its
	// causes says that the policy cannot be turned into a residual; it can be evaluated
	// still. The residual is simplified and shared: it is not to be changed.
	Residual(ctx context.Context, q Question, open Open) (*Residual, error)
	// Routes returns, for each way in which data.authz.visibility.routes can hold for q
	// (`view` of a patient, say), what it needs, by the name of the route. It is nil for a
	// policy without that rule. Errors are those of Residual.
	Routes(ctx context.Context, q Question, open Open) (map[string]*Residual, error)
	// Candidates returns what data.authz.candidates says a search ranges over: for a type
	// that the directory does not hold, or with what "action" for names of actions. The
	// ids are in order. defined is false where the policy does not say.
	Candidates(ctx context.Context, q Question, what string) (of []CandidateEntity, defined bool, err error)
	// Explain returns data.authz.explanation, the zero Account for a policy without one.
	Explain(ctx context.Context, q Question) (Account, error)
	// Masks returns data.authz.masks, a JSON object of what to hide of each entity
	// that a filter lets through, nil for none. What is open is as for Residual.
	Masks(ctx context.Context, q Question, open Open) (json.RawMessage, error)
}

// Account says why a question is decided as it is, by JSON objects: to whoever asks, and
// to administrators.
type Account struct{ User, Admin json.RawMessage }

// CandidateEntity is one thing that a search ranges over.
type CandidateEntity struct {
	ID string
	// Properties are those that the search gives all of them, with its own laid over;
	// nil for none.
	Properties map[string]any
}
