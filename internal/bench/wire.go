package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/caregate/caregate/internal/authz"
)

const (
	pathSingle       = "/access/v1/evaluation"
	pathBatch        = "/access/v1/evaluations"
	pathSearch       = "/access/v1/search/resource"
	pathPreviews     = "/v1/previews"
	pathExplanations = "/v1/explanations"
	pathOPA          = "/v1/data/authz/decision"
)

// wireRequest is an AuthZEN evaluation as encoding/json reads and writes it. A batch
// has evaluations of its own, and a search a page.
type wireRequest struct {
	Subject     wireEntity     `json:"subject,omitzero"`
	Action      wireAction     `json:"action,omitzero"`
	Resource    wireEntity     `json:"resource,omitzero"`
	Context     map[string]any `json:"context,omitempty"`
	Evaluations []wireRequest  `json:"evaluations,omitempty"`
	Page        *wirePage      `json:"page,omitempty"`
}

type wireEntity struct {
	Type       string         `json:"type"`
	ID         string         `json:"id,omitempty"`
	Properties map[string]any `json:"properties,omitempty"`
}

type wireAction struct {
	Name       string         `json:"name"`
	Properties map[string]any `json:"properties,omitempty"`
}

type wirePage struct {
	Token string `json:"token,omitempty"`
	Limit int    `json:"limit"`
}

// wireAnswer is the answer as encoding/json reads and writes it.
type wireAnswer struct {
	Decision bool    `json:"decision"`
	Context  account `json:"context"`
}

// account is what the context of a decision says.
type account struct {
	GrantedBy  *authz.Grant `json:"granted_by,omitempty"`
	Permission string       `json:"permission,omitempty"`
	Reasons    []string     `json:"reasons"`
	References []string     `json:"references,omitempty"`
	Routes     []string     `json:"routes,omitempty"`
}

// protocol is how a server is asked one question or several, and how its answer is read.
type protocol struct {
	path  string
	write func([]question) []byte
	read  func([]byte) ([]wireAnswer, error)
}

func singles() protocol {
	return protocol{pathSingle, func(q []question) []byte { return encode(wireOf(q[0])) }, func(text []byte) ([]wireAnswer, error) {
		var w wireAnswer
		err := strictly(text, &w)
		return []wireAnswer{w}, err
	}}
}

// batches are of questions that share subject, action and context.
func batches() protocol {
	return protocol{pathBatch, func(q []question) []byte {
		w := wireOf(q[0])
		w.Resource = wireEntity{}
		for i := range q {
			w.Evaluations = append(w.Evaluations, wireRequest{Resource: wireEntity(q[i].request.Resource)})
		}
		return encode(w)
	}, func(text []byte) ([]wireAnswer, error) {
		var w struct {
			Evaluations []wireAnswer `json:"evaluations"`
		}
		err := strictly(text, &w)
		return w.Evaluations, err
	}}
}

func opaSingles() protocol {
	return protocol{pathOPA, func(q []question) []byte {
		return fmt.Appendf(nil, `{"input":%s}`, encode(wireOf(q[0])))
	}, func(text []byte) ([]wireAnswer, error) {
		var w struct {
			Result struct {
				Allow   bool    `json:"allow"`
				Context account `json:"context"`
			} `json:"result"`
			ID string `json:"decision_id"`
		}
		err := strictly(text, &w)
		return []wireAnswer{{w.Result.Allow, w.Result.Context}}, err
	}}
}

func wireOf(q question) wireRequest {
	r := q.request
	return wireRequest{Subject: wireEntity(r.Subject), Action: wireAction(r.Action), Resource: wireEntity(r.Resource), Context: r.Context}
}

func encode(w wireRequest) []byte { return must(json.Marshal(w)) }

func strictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w in %s", err, text)
	}
	return nil
}
