package authz

// Entity is a subject or a resource as the caller names it (AuthZEN 1.0,
// sections 5.1 and 5.2). Properties are the caller's words and never facts.
type Entity struct {
	Type       string
	ID         string
	Properties map[string]any // JSON values, numbers as json.Number; nil when absent
}

// Action is what the subject wants to do (AuthZEN 1.0, section 5.3).
type Action struct {
	Name       string
	Properties map[string]any
}

// Request is one question: may Subject do Action to Resource? Context is
// handed to the policy verbatim, nil when absent.
type Request struct {
	Subject  Entity
	Action   Action
	Resource Entity
	Context  map[string]any
}

// Semantic says how far a batch is answered (AuthZEN 1.0, section 7.1.2.1).
// The zero value answers every item.
type Semantic int

// The three semantics of a batch.
const (
	ExecuteAll          Semantic = iota
	DenyOnFirstDeny              // stop after the first deny
	PermitOnFirstPermit          // stop after the first permit
)

// ends reports whether an answer is the last one of its batch.
func (s Semantic) ends(allow bool) bool {
	return s == DenyOnFirstDeny && !allow || s == PermitOnFirstPermit && allow
}
