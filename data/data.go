// Package data holds what the program runs on when nobody gives it anything
// else: the catalogue of resource types, the names that administration asks the policy
// by, and an example organisation.
package data

import (
	"embed"
	"io/fs"
)

// ExampleOrganisation is the name of the example organisation.
const ExampleOrganisation = "riverside"

//go:embed administration catalogue example
var files embed.FS

// Files returns this directory without its Go: catalogue/data.json and
// administration/data.json, which policies read as data.catalogue and
// data.administration, and example/, which they do not read.
func Files() fs.FS { return files }

// OpenExample opens the records of the example organisation, which are JSON
// Lines.
func OpenExample() (fs.File, error) { return files.Open("example/organisation.jsonl") }

// ExampleFilters returns a mapping of types to tables of a host's own database, as
// --filters takes it, to try the example organisation with.
func ExampleFilters() ([]byte, error) { return files.ReadFile("example/filters.json") }
