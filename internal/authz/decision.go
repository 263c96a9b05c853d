package authz

import "encoding/json"

// Decision is the answer to one Request. The zero value denies.
type Decision struct {
	Allow bool
	// Context is the policy's account of the decision, a JSON object, or nil
	// when the policy gives none.
	Context json.RawMessage
	// Undefined is true when the policy said nothing at all, which denies.
	Undefined bool
}

// Stated is an answer with what it is a function of.
type Stated struct {
	Revision Revision
	Policy   string // the digest of the policy
}

// Grant says where a permission comes from (P2).
type Grant struct {
	Role   string   `json:"role,omitempty"`
	Groups []string `json:"groups,omitempty"`
}

// denied makes a deny that is decided before the policy is asked. Its reason
// is a literal code.
func denied(reason string) Decision {
	return Decision{Context: json.RawMessage(`{"reasons":["` + reason + `"]}`)}
}
