package authz

// Catalogue says what the directory knows about each type that a request may
// name (P4, P5). It is data, read from the policy's data files; a nil
// Catalogue means that nothing is looked up and requests pass through verbatim.
type Catalogue struct {
	Types map[string]TypeSpec
}

// TypeSpec describes one type of subject or resource.
type TypeSpec struct {
	// Facts is the kind of record that holds the facts of this type, "" when
	// the directory holds none.
	Facts Kind
	// RequireProvider makes an entity of this type found only if its team
	// member is a provider.
	RequireProvider bool
	// Actions are the names of the actions that the type has, in order.
	Actions []string
	// Scopes are the names of its permissions that are no actions, such as view_all, in
	// order.
	Scopes []string
	// References are the properties that name other entities. The name of a
	// reference is both the property and the type it refers to.
	References map[string]ReferenceSpec
}

// ReferenceSpec describes one reference.
type ReferenceSpec struct {
	Required bool
}

// lookup returns the key under which the directory knows an entity of type
// typ, and whether it can know one at all.
func (c *Catalogue) lookup(typ, id string) (Key, bool) {
	if c == nil {
		return Key{}, false
	}
	kind := c.Types[typ].Facts
	return Key{Kind: kind, ID: id}, kind != ""
}
