package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
	"github.com/caregate/caregate/internal/plaintext"
)

// MaxLine is the most bytes that a record may have on its line.
const MaxLine = 1 << 20

// RecordReader reads records from JSON Lines. Blank lines are skipped, and a
// line may end with CRLF.
type RecordReader struct {
	scanner *bufio.Scanner
	options json.Options
	line    int
	from    int // lines before this one are skipped
}

// NewRecordReader returns a reader of the records in r.
func NewRecordReader(r io.Reader) *RecordReader {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 0, 64<<10), MaxLine+len("\r\n"))
	return &RecordReader{
		scanner: scanner,
		options: withoutNull(),
	}
}

// skipTo lets Read begin at a line.
func (r *RecordReader) skipTo(line int) { r.from = line }

// Line returns the number of the line of the last record, or of the error.
func (r *RecordReader) Line() int { return r.line }

// Read returns the next record, io.EOF after the last one. Any other error is an
// *authz.Error that names the line and the field, and repeats no id.
func (r *RecordReader) Read() (*admin.Record, error) {
	for r.scanner.Scan() {
		r.line++
		if r.line < r.from {
			continue
		}
		text := r.scanner.Bytes()
		if err := plaintext.CheckLine(text); err != nil {
			return nil, r.at(authz.Errorf(authz.Malformed, "", "%s", err.Error()))
		}
		text = bytes.Trim(text, " \t\r")
		if len(text) == 0 {
			continue
		}
		if len(text) > MaxLine {
			return nil, r.at(tooLong())
		}
		record, err := r.decode(text)
		if err == nil {
			err = admin.CheckRecord(record)
		}
		if err != nil {
			return nil, r.at(err)
		}
		return record, nil
	}
	switch err := r.scanner.Err(); {
	case err == nil:
		return nil, io.EOF
	case errors.Is(err, bufio.ErrTooLong):
		r.line++
		return nil, r.at(tooLong())
	default:
		return nil, &authz.Error{Kind: authz.Internal, Message: fmt.Sprintf("the records cannot be read after line %d", r.line), Err: err}
	}
}

func tooLong() *authz.Error {
	return authz.Errorf(authz.TooLarge, "", "is longer than 1 MiB, the most that a record may have; write each record on a line of its own, or shorten it")
}

// at returns err with the number of the line it is about.
func (r *RecordReader) at(err *authz.Error) *authz.Error { return atLine(r.line, err) }

func atLine(line int, err *authz.Error) *authz.Error {
	out := *err
	out.Field = "line " + strconv.Itoa(line)
	if err.Field != "" {
		out.Field += ": " + err.Field
	}
	return &out
}

// decode reads one line strictly.
func (r *RecordReader) decode(text []byte) (*admin.Record, *authz.Error) {
	if text[0] != '{' {
		return nil, authz.Errorf(authz.Malformed, "", "is not a JSON object; write one record a line, such as {\"kind\":\"patient_group\",\"id\":\"diabetes\",\"name\":\"Diabetes\"}")
	}
	// The kind says which fields there can be; it may stand anywhere. The whole line is
	// looked at for it, so that no syntax is wrong after this.
	var kind struct {
		Kind authz.Kind `json:"kind"`
	}
	if err := json.Unmarshal(text, &kind, r.options); err != nil {
		return nil, decodeError(err)
	}
	if !model.Has(kind.Kind) {
		return nil, admin.UnknownKind("kind", kind.Kind)
	}
	record := &admin.Record{Kind: kind.Kind}
	d := jsontext.NewDecoder(bytes.NewBuffer(text))
	_, err := d.ReadToken()
	for err == nil && d.PeekKind() == '"' {
		var name jsontext.Token
		if name, err = d.ReadToken(); err == nil {
			err = r.field(d, record, name.String())
		}
	}
	if err != nil {
		return nil, decodeError(err)
	}
	return record, nil
}

// field reads the value of a member of a record.
func (r *RecordReader) field(d *jsontext.Decoder, record *admin.Record, name string) error {
	var to any
	f := model.FieldOf(record.Kind, name)
	switch {
	case name == "kind":
		to = &record.Kind
	case name == "id":
		to = &record.ID
	case f == nil:
		return &json.SemanticError{JSONPointer: d.StackPointer(), Err: json.ErrUnknownName}
	case f.Text != nil:
		to = f.Text(record)
	case f.Flag != nil:
		to = f.Flag(record)
	default:
		to = f.List(record)
	}
	return json.UnmarshalDecode(d, to, r.options)
}

// errNull is the error for null, which the json package would take as absent.
var errNull = errors.New("null")

// withoutNull refuses null wherever a value is expected.
func withoutNull() json.Options {
	return json.WithUnmarshalers(json.JoinUnmarshalers(
		json.UnmarshalFromFunc(refuseNull[*string]),
		json.UnmarshalFromFunc(refuseNull[*authz.Kind]),
		json.UnmarshalFromFunc(refuseNull[*bool]),
		json.UnmarshalFromFunc(refuseNull[*[]string]),
	))
}

func refuseNull[T any](d *jsontext.Decoder, _ T) error {
	if d.PeekKind() == 'n' {
		return errNull
	}
	return errors.ErrUnsupported // as usual
}

// decodeError says what is wrong with a line, where, and what to write. It
// repeats nothing of the line but the names of fields.
func decodeError(err error) *authz.Error {
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		field := fieldOf(e.JSONPointer)
		switch {
		case errors.Is(e.Err, json.ErrUnknownName):
			return authz.Errorf(authz.Malformed, field, "is no field of this kind of record; check the spelling or remove it")
		case errors.Is(e.Err, errNull):
			return authz.Errorf(authz.Malformed, field, "is null; leave the field out instead")
		case e.GoType == reflect.TypeFor[bool]():
			return authz.Errorf(authz.Malformed, field, "must be true or false")
		case e.GoType == reflect.TypeFor[[]string]():
			return authz.Errorf(authz.Malformed, field, "must be a list of texts, such as [\"a\",\"b\"]")
		default:
			return authz.Errorf(authz.Malformed, field, "must be a text in quotes")
		}
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(e.Err, jsontext.ErrDuplicateName) {
			return authz.Errorf(authz.Malformed, fieldOf(e.JSONPointer), "stands in the record twice; keep one")
		}
		return authz.Errorf(authz.Malformed, "", "is not JSON at byte %d (%v); write one whole object on the line", e.ByteOffset+1, e.Err)
	}
	return authz.Errorf(authz.Malformed, "", "is not a JSON object; write one whole object on the line")
}

// fieldOf writes a pointer the way callers name fields: care_team[2].
func fieldOf(pointer jsontext.Pointer) string {
	var b strings.Builder
	for token := range pointer.Tokens() {
		switch _, err := strconv.Atoi(token); {
		case b.Len() > 0 && err == nil:
			b.WriteString("[" + token + "]")
		case b.Len() > 0:
			b.WriteString("." + quoted(token))
		default:
			b.WriteString(quoted(token))
		}
	}
	return b.String()
}

// quoted returns the name of a field as it can be printed.
func quoted(name string) string {
	if len(name) > 64 {
		name = name[:64] + "…"
	}
	text := strconv.Quote(name)
	if plain := text[1 : len(text)-1]; plain == name {
		return name
	}
	return text
}
