package filter

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/caregate/caregate/internal/authz"
)

// The limits of a mapping.
const (
	maxText  = 1 << 20 // bytes
	maxDepth = 8
)

// value is a JSON value with the path at which it stands.
type value struct {
	path    string
	scalar  any // string, bool, json.Number or nil
	members []member
	items   []value
	kind    json.Delim // '{', '[' or 0
}

type member struct {
	name  string
	value value
}

func bad(path, format string, args ...any) error {
	return authz.Errorf(authz.Malformed, path, format, args...)
}

// decode reads one JSON value, in which no object has a member twice.
func decode(text []byte) (value, error) {
	if len(text) > maxText {
		return value{}, authz.Errorf(authz.TooLarge, "", "the mapping has more than %d bytes; leave out what is no table of a type", maxText)
	}
	if !utf8.Valid(text) {
		return value{}, bad("", "the mapping is not in UTF-8; save it so")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := decodeValue(d, "", 0)
	if err != nil {
		return value{}, syntax(d, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return value{}, bad("", "there is something after the mapping; take it away")
	}
	return v, nil
}

// syntax makes an error of what the decoder says, and leaves one of our own.
func syntax(d *json.Decoder, err error) error {
	if own, ok := errors.AsType[*authz.Error](err); ok {
		return own
	}
	return &authz.Error{
		Kind: authz.Malformed, Err: err,
		Message: "the mapping is not JSON, at byte " + strconv.FormatInt(d.InputOffset(), 10) + "; correct it there",
	}
}

func decodeValue(d *json.Decoder, path string, depth int) (value, error) {
	if depth > maxDepth {
		return value{}, bad(path, "stands too deep; a mapping has no such member")
	}
	token, err := d.Token()
	if err != nil {
		return value{}, err
	}
	v := value{path: path}
	v.kind, _ = token.(json.Delim)
	switch v.kind {
	case '{':
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return value{}, err
			}
			m := member{name: name.(string)} //nolint:forcetypeassert // a decoder gives a string there
			at := below(path, m.name)
			if slices.ContainsFunc(v.members, func(o member) bool { return o.name == m.name }) {
				return value{}, bad(at, "stands there twice; take one away")
			}
			if m.value, err = decodeValue(d, at, depth+1); err != nil {
				return value{}, err
			}
			v.members = append(v.members, m)
		}
		_, err = d.Token()
	case '[':
		for d.More() {
			item, err := decodeValue(d, path+"["+strconv.Itoa(len(v.items))+"]", depth+1)
			if err != nil {
				return value{}, err
			}
			v.items = append(v.items, item)
		}
		_, err = d.Token()
	default:
		v.scalar = token
	}
	return v, err
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// object returns the members of an object, all of which have to be known. Without
// known ones each name is good.
func (v value) object(known ...string) (map[string]value, error) {
	if v.kind != '{' {
		return nil, bad(v.path, "must be an object")
	}
	out := make(map[string]value, len(v.members))
	for _, m := range v.members {
		if len(known) > 0 && !slices.Contains(known, m.name) {
			return nil, bad(m.value.path, "is not known; there are %s", strings.Join(known, ", "))
		}
		out[m.name] = m.value
	}
	return out, nil
}

func (v value) yes() (bool, error) {
	b, ok := v.scalar.(bool)
	if !ok {
		return false, bad(v.path, "must be true or false")
	}
	return b, nil
}
