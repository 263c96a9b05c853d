package httpapi

import (
	"time"

	"github.com/caregate/caregate/internal/authz"
)

// PolicySource says which policy is active.
type PolicySource interface {
	// ActivePolicy returns at once. The caller does not change what it returns.
	ActivePolicy() ActivePolicy
}

// ActivePolicy is the policy that answers now.
type ActivePolicy struct {
	Digest    string
	Activated time.Time
	Files     []string // the paths it was made of
}

// policy answers which policy is active.
func (a *API) policy(x *exchange) error {
	if a.cfg.Policy == nil {
		return authz.Errorf(authz.NotFound, "", "this service was started without anything to say of its policy")
	}
	p := a.cfg.Policy.ActivePolicy()
	b := appendString(append(x.out[:0], `{"digest":`...), p.Digest)
	b = append(b, `,"activated":"`...)
	b = p.Activated.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","files":[`...)
	for i, file := range p.Files {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, file)
	}
	x.out = append(b, `]}`...)
	x.ok(x.out)
	return nil
}
