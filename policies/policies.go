// Package policies holds the default policy: Rego and the schemas of its input.
package policies

import "embed"

// Files is the default policy as a tree of files.
//
//go:embed authz schemas
var Files embed.FS
