package wire

import (
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// Request is a question as a client asks it.
type Request struct {
	Subject  entity         `json:"subject"`
	Action   action         `json:"action"`
	Resource entity         `json:"resource"`
	Context  map[string]any `json:"context,omitzero"`
}

type entity struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Properties map[string]any `json:"properties,omitzero"`
}

type action struct {
	Name       string         `json:"name"`
	Properties map[string]any `json:"properties,omitzero"`
}

// RequestOf returns a request as a client asks it.
func RequestOf(r *authz.Request) *Request {
	return &Request{entity(r.Subject), action(r.Action), entity(r.Resource), r.Context}
}

// Problem is a problem document (RFC 9457).
type Problem struct {
	Type       string `json:"type"`
	Title      string `json:"title"`
	Status     int    `json:"status"`
	Field      string `json:"field,omitzero"`
	Detail     string `json:"detail"`
	RequestID  string `json:"request_id"`
	InUse      []Key  `json:"in_use,omitzero"` // some of what stands in the way
	InUseCount int    `json:"in_use_count,omitzero"`
}

// Keys returns keys as an answer has them.
func Keys(keys []authz.Key) []Key {
	return each(keys, func(k authz.Key) Key { return Key{string(k.Kind), k.ID} })
}

// PermissionsOf is whose permissions are asked for.
type PermissionsOf struct {
	Member string `json:"team_member"`
}

// Check makes sure that somebody is named.
func (p PermissionsOf) Check() error {
	if p.Member == "" {
		return malformed("team_member", "is required: give the id of a team member as a string")
	}
	return nil
}

// Permissions are what a team member holds, the same bytes for the same permissions.
type Permissions struct {
	Member      string                 `json:"team_member"`
	Permissions map[string]authz.Grant `json:"permissions"`
}

// Policy is the policy that answers.
type Policy struct {
	Digest    string    `json:"digest"`
	Activated time.Time `json:"activated"`
	Files     []string  `json:"files"`
}

// Health is whether a process answers.
type Health struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitzero"`
}

// Metadata is AuthZEN's metadata document (section 9).
type Metadata struct {
	DecisionPoint string `json:"policy_decision_point"`
	Evaluation    string `json:"access_evaluation_endpoint"`
	Evaluations   string `json:"access_evaluations_endpoint"`
	Subjects      string `json:"search_subject_endpoint,omitzero"`
	Resources     string `json:"search_resource_endpoint,omitzero"`
	Actions       string `json:"search_action_endpoint,omitzero"`
}

// IDs is a page of a set. Next is where it goes on, "" at its end.
type IDs struct {
	IDs  []string `json:"ids"`
	Next string   `json:"next,omitzero"`
}

// AppendRecords appends a page of records. Next is where it goes on, "" at its end.
func AppendRecords(dst []byte, records []*admin.Stored, next string) []byte {
	dst = append(dst, `{"items":[`...)
	for i, r := range records {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendRecord(dst, r)
	}
	dst = append(dst, ']')
	if next != "" {
		dst = appendString(appendName(dst, "next"), next)
	}
	return append(dst, '}')
}

// Outcome is the answer to a write that has no one record to show.
type Outcome struct {
	Revision string `json:"revision"`
	Changed  bool   `json:"changed"`
}
