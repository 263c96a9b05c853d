package verify_test

import (
	"context"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// reference is the rules of the product in plain Go, beside the Rego and not after it.
type reference struct {
	authz.Policy // for what does not decide: the catalogue and the digest
}

// Decide implements authz.Policy.
func (r reference) Decide(_ context.Context, q authz.Question) (authz.Decision, error) {
	c := &considered{Question: q, catalogue: r.Catalogue()}
	return authz.Decision{Allow: c.allowed()}, nil
}

// considered is a question with the catalogue.
type considered struct {
	authz.Question
	catalogue *authz.Catalogue
}

func (c *considered) allowed() bool {
	spec := c.catalogue.Types[c.Request.Resource.Type]
	switch {
	case !slices.Contains(spec.Actions, c.Action.Name): // P4
		return false
	case c.Subject == nil || !c.Subject.Found: // V9
		return false
	case spec.Facts != "" && c.Resource.Found == (c.Action.Name == "create"): // V9
		return false
	case !c.resolved(spec): // P5
		return false
	}
	switch c.Request.Subject.Type {
	case "team_member":
		return c.memberMay()
	case "patient":
		return c.patientMay()
	}
	return false
}

// resolved is P5's second sentence.
func (c *considered) resolved(spec authz.TypeSpec) bool {
	for name, reference := range spec.References {
		value, given := c.Request.Resource.Properties[name]
		if !given {
			if reference.Required {
				return false
			}
			continue
		}
		if _, text := value.(string); !text || c.refers(name) == nil {
			return false
		}
	}
	return true
}

// refers returns what a reference names, nil where that is nothing.
func (c *considered) refers(name string) *authz.Fact {
	for _, r := range c.References {
		if r.Name == name && r.Fact.Found {
			return r.Fact
		}
	}
	return nil
}

func (c *considered) memberMay() bool {
	typ, action := c.Request.Resource.Type, c.Action.Name
	patient, provider := c.refers("patient"), c.refers("provider")
	booking := false
	permission := typ + ":" + action
	switch {
	case typ == "provider" && action == "book": // B4
		booking, provider, permission = true, c.Resource, "appointment:create"
		if patient == nil {
			return false
		}
	case typ == "appointment" && action == "create" && provider != nil: // B4
		booking = true
	case typ == "appointment" && action == "cancel": // A1: B4 without the provider
		permission = "appointment:create"
	}
	switch {
	case c.Subject.Suspended: // P7
		return false
	case !c.holds(permission): // P2, P3
		return false
	case typ == "patient" && action != "create" && !c.sees(c.Resource): // V7
		return false
	case patient != nil && !c.sees(patient): // P5
		return false
	case booking && (provider.Suspended || !slices.Contains(provider.Booking, patient.PatientGroup)): // P7, B1
		return false
	}
	if group := c.refers("patient_group"); group != nil { // V8
		return c.holds("patient:view_all") || slices.Contains(c.Subject.Access, group.ID)
	}
	return true
}

// sees is V1, V2 and V3.
func (c *considered) sees(patient *authz.Fact) bool {
	return c.holds("patient:view_all") ||
		slices.Contains(c.Subject.Access, patient.PatientGroup) ||
		slices.Contains(patient.CareTeam, c.Subject.ID)
}

// patientMay is B3, and A1's cancelling.
func (c *considered) patientMay() bool {
	if c.Request.Resource.Type == "appointment" && c.Action.Name == "cancel" {
		return c.refers("patient").ID == c.Subject.ID
	}
	if c.Request.Resource.Type != "provider" {
		return false
	}
	if patient := c.refers("patient"); c.Action.Name == "book" && patient != nil && patient.ID != c.Subject.ID {
		return false
	}
	return !c.Resource.Suspended && slices.Contains(c.Resource.Booking, c.Subject.PatientGroup) // P7
}

// holds is P2 and P3.
func (c *considered) holds(permission string) bool {
	keys := []authz.Key{{Kind: authz.KindRole, ID: c.Subject.Role}}
	for _, id := range c.Subject.Groups {
		keys = append(keys, authz.Key{Kind: authz.KindGroup, ID: id})
	}
	typ, action, _ := strings.Cut(permission, ":")
	for _, key := range keys {
		granted := c.Facts.Get(key).Permissions
		if slices.Contains(granted, permission) || slices.Contains(granted, "*:*") {
			return true
		}
		if slices.Contains([]string{"view", "create", "update", "delete"}, action) && slices.Contains(granted, typ+":*") {
			return true
		}
	}
	return false
}
