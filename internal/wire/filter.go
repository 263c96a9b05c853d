package wire

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caregate/caregate/internal/filter"
)

// Filter is a filter as /v1/filters answers it. What it matches comes first and always, so
// that no filter is ever an empty text to be misread.
type Filter struct {
	Matches filter.Matches `json:"matches"`
	Dialect filter.Dialect `json:"dialect"`
	UCAST   jsontext.Value `json:"ucast,omitzero"`
	Where   string         `json:"where,omitzero"`
	Args    []any          `json:"args,omitzero"` // strings and integers
	Masks   jsontext.Value `json:"masks,omitzero"`
}

// NewFilter returns the answer that is a filter in a dialect. One that lacks what it matches
// or its text is an error.
func NewFilter(f *filter.Filter, dialect filter.Dialect) (*Filter, error) {
	out := &Filter{Matches: f.Matches, Dialect: dialect, Masks: jsontext.Value(f.Masks)}
	switch {
	case f.Matches != filter.All && f.Matches != filter.None && f.Matches != filter.Some:
		return nil, fmt.Errorf("a filter that matches %q", f.Matches)
	case dialect == filter.UCAST && len(f.UCAST) > 0:
		out.UCAST = jsontext.Value(f.UCAST)
		return out, nil
	case dialect == filter.UCAST || f.Where == "":
		return nil, fmt.Errorf("a filter in %s without its text", dialect)
	}
	for _, arg := range f.Args {
		switch arg.(type) {
		case string, int64:
		default:
			return nil, fmt.Errorf("a parameter that is a %T", arg)
		}
	}
	out.Where, out.Args = f.Where, append([]any{}, f.Args...)
	return out, nil
}
