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

// bodyOf is how questions are asked at a path: one, or a batch that shares subject,
// action and context.
func bodyOf(path string, asked []question) any {
	w := asked[0].wire()
	switch path {
	case pathOPA:
		return document{"input": w}
	case pathBatch:
		w.Resource = wireEntity{}
		for _, q := range asked {
			w.Evaluations = append(w.Evaluations, wireRequest{Resource: wireEntity(q.request.Resource)})
		}
	}
	return w
}

// asking is the question whether a member may do something to a patient.
func asking(member, action, patient string) wireRequest {
	return wireRequest{
		Subject: wireEntity{Type: string(authz.KindTeamMember), ID: member}, Action: wireAction{Name: action},
		Resource: wireEntity{Type: string(authz.KindPatient), ID: patient},
	}
}

// answersOf reads the answer to one question or to a batch, of Caregate or of OPA.
func answersOf(text []byte) []wireAnswer {
	var w struct {
		wireAnswer
		Evaluations []wireAnswer `json:"evaluations"`
		Result      *struct {
			Allow   bool    `json:"allow"`
			Context account `json:"context"`
		} `json:"result"`
		ID string `json:"decision_id"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&w); err != nil {
		check(fmt.Errorf("%w in %s", err, text))
	}
	switch {
	case w.Result != nil:
		return []wireAnswer{{w.Result.Allow, w.Result.Context}}
	case w.Evaluations != nil:
		return w.Evaluations
	}
	return []wireAnswer{w.wireAnswer}
}

// document is a JSON object.
type document = map[string]any

func encode(v any) []byte { return must(json.Marshal(v)) }
