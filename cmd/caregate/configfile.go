package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/caregate/caregate/internal/plaintext"
)

// readConfig reads the settings in the YAML file path: one mapping from the
// names of settings to a value, or to a list for a flag that can be repeated.
// A name that is none of names is an error, and so is one that stands twice.
func readConfig(path string, names map[string]bool) (map[string]given, error) {
	text, err := plaintext.ReadFile(path) // YAML would take other encodings as well
	if err != nil {
		return nil, fmt.Errorf("read the config file: %w", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return map[string]given{}, nil // an empty file sets nothing
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one document; a config file has one", path)
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return map[string]given{}, nil // nothing but comments
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: not a list of settings; write one a line, such as facts-timeout: 250ms", path, root.Line)
	}

	values := make(map[string]given)
	var errs []error
	for i := 0; i < len(root.Content); i += 2 {
		key, node := root.Content[i], root.Content[i+1]
		at := fmt.Sprintf("%s:%d: %s", path, key.Line, key.Value)
		value, err := readValue(node)
		_, twice := values[key.Value]
		switch {
		case key.Value == "config":
			err = errors.New("a config file cannot name another; use --config or CAREGATE_CONFIG")
		case !names[key.Value]:
			err = fmt.Errorf("there is no such setting%s", didYouMean(key.Value, slices.Collect(maps.Keys(names)), plainName))
		case twice:
			err = errors.New("is set twice; keep one")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", at, err))
			continue
		}
		value.source = source{rankFile, at}
		values[key.Value] = value
	}
	return values, errors.Join(errs...)
}

// readValue reads a scalar or a list of scalars.
func readValue(node *yaml.Node) (given, error) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch node.Kind {
	case yaml.ScalarNode:
		if node.Tag == "!!null" {
			return given{}, errors.New("has no value; give it one or delete the line")
		}
		return given{texts: []string{node.Value}}, nil
	case yaml.SequenceNode:
		g := given{list: true}
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
				return given{}, fmt.Errorf("line %d: an item of a list must be a plain value", item.Line)
			}
			g.texts = append(g.texts, item.Value)
		}
		return g, nil
	default:
		return given{}, errors.New("must be a plain value or a list")
	}
}
