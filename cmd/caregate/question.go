package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/policy"
)

// questionFlags are the flags that a question is made of.
type questionFlags struct {
	subject, action, resource string
	properties                []string
	context                   string
}

// flags adds the flags; ofSubject and ofResource say what those two are.
func (q *questionFlags) flags(cmd *cobra.Command, ofSubject, ofResource string) {
	flags := cmd.Flags()
	flags.StringVar(&q.subject, "subject", "", ofSubject)
	flags.StringVar(&q.action, "action", "", "`name` of what they want to do")
	flags.StringVar(&q.resource, "resource", "", ofResource)
	flags.StringArrayVar(&q.properties, "property", nil, "a property of the resource, as `name=value`; the value is JSON, or text when it is not; may be repeated")
	flags.StringVar(&q.context, "context", "", "the context, a JSON `object`")
	flagOnly(cmd, "subject", "action", "resource", "property", "context")
}

// request reads a whole question.
func (q *questionFlags) request() (*authz.Request, error) {
	r := &authz.Request{Subject: parseEntity(q.subject), Action: authz.Action{Name: q.action}, Resource: parseEntity(q.resource)}
	var errs []error
	if r.Subject.Type == "" || r.Subject.ID == "" {
		errs = append(errs, errors.New("--subject: write type:id, such as team_member:mark"))
	}
	if r.Resource.Type == "" || r.Resource.ID == "" {
		errs = append(errs, errors.New("--resource: write type:id, such as patient:p-1"))
	}
	if q.action == "" {
		errs = append(errs, errors.New("--action: name what the subject wants to do, such as view"))
	}
	return r, errors.Join(append(errs, q.rest(r))...)
}

// parseEntity reads type:id. A type alone has no id.
func parseEntity(text string) authz.Entity {
	typ, id, _ := strings.Cut(text, ":")
	return authz.Entity{Type: typ, ID: id}
}

// rest reads the properties and the context of r.
func (q *questionFlags) rest(r *authz.Request) error {
	var errs []error
	for _, p := range q.properties {
		name, text, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			errs = append(errs, errors.New("--property: write name=value, such as patient=p-1"))
			continue
		}
		if r.Resource.Properties == nil {
			r.Resource.Properties = map[string]any{}
		}
		value, err := readJSON(text)
		if err != nil {
			value = text
		}
		r.Resource.Properties[name] = value
	}
	if q.context != "" {
		value, err := readJSON(q.context)
		object, ok := value.(map[string]any)
		if err != nil || !ok {
			errs = append(errs, errors.New(`--context: must be a JSON object, such as {"reason":"emergency"}`))
		}
		r.Context = object
	}
	return errors.Join(errs...)
}

// readJSON reads one JSON value, numbers verbatim.
func readJSON(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

// here is what answers in this process.
type here struct {
	snapshot  *policy.Snapshot
	store     *directory.Directory
	decisions *authz.Service
}

// openHere opens the policy and the facts.
func openHere(ctx context.Context, a *app, rules *policySource, facts *factsSource) (*here, error) {
	embedded, err := facts.embedded(a)
	if err != nil {
		return nil, err
	}
	snapshot, err := rules.load(ctx)
	if err != nil {
		return nil, err
	}
	store, _, err := facts.openStore(ctx, embedded)
	if err != nil {
		return nil, a.aboutSetting(err)
	}
	return &here{snapshot, store, authz.NewService(store, snapshot)}, nil
}

func (h *here) close() { _ = h.store.Close() }
