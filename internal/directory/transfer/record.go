package transfer

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/model"
)

// AppendLine appends a record as one line of JSON with its newline: its kind, its id,
// and its fields in the order of the table, those that are empty only if they always
// stand there. Equal records give equal bytes if their lists are in the same order.
func AppendLine(b []byte, r *admin.Record) ([]byte, error) {
	if !model.Has(r.Kind) {
		return nil, admin.UnknownKind("kind", r.Kind)
	}
	line := lineWriter{b: append(b, '{')}
	line.member("kind")
	line.text(string(r.Kind))
	line.member("id")
	line.text(r.ID)
	for _, f := range model.Fields(r.Kind) {
		switch {
		case f.Text != nil && (f.Always || *f.Text(r) != ""):
			line.member(f.Name)
			line.text(*f.Text(r))
		case f.Flag != nil && *f.Flag(r):
			line.member(f.Name)
			line.b = strconv.AppendBool(line.b, true)
		case f.List != nil && (f.Always || len(*f.List(r)) > 0):
			line.member(f.Name)
			line.texts(*f.List(r))
		}
	}
	if line.err != nil {
		return nil, fmt.Errorf("write a record of kind %s: %w", r.Kind, line.err)
	}
	return append(line.b, "}\n"...), nil
}

// lineWriter writes an object, and remembers the first text that is no UTF-8.
type lineWriter struct {
	b   []byte
	err error
}

// member begins a member of the object.
func (w *lineWriter) member(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.text(name)
	w.b = append(w.b, ':')
}

func (w *lineWriter) text(s string) {
	b, err := jsontext.AppendQuote(w.b, s)
	if w.b = b; w.err == nil {
		w.err = err
	}
}

func (w *lineWriter) texts(list []string) {
	w.b = append(w.b, '[')
	for i, s := range list {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.text(s)
	}
	w.b = append(w.b, ']')
}
