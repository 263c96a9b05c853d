package directory

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
	"github.com/caregate/caregate/internal/plaintext"
)

// maxLine is the most bytes that a record may have on its line.
const maxLine = 1 << 20

// RecordReader reads records from JSON Lines. Blank lines are skipped, and a
// line may end with CRLF.
type RecordReader struct {
	scanner *bufio.Scanner
	options []json.Options
	line    int
	from    int // lines before this one are skipped
}

// NewRecordReader returns a reader of the records in r.
func NewRecordReader(r io.Reader) *RecordReader {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 0, 64<<10), maxLine+len("\r\n"))
	return &RecordReader{
		scanner: scanner,
		options: []json.Options{json.RejectUnknownMembers(true), json.WithUnmarshalers(withoutNull())},
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
			return nil, r.at(bad("", "%s", err.Error()))
		}
		text = bytes.Trim(text, " \t\r")
		if len(text) == 0 {
			continue
		}
		if len(text) > maxLine {
			return nil, r.at(tooLong())
		}
		record, err := r.decode(text)
		if err == nil {
			err = record.Check()
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
		return nil, bad("", "is not a JSON object; write one record a line, such as {\"kind\":\"patient_group\",\"id\":\"diabetes\",\"name\":\"Diabetes\"}")
	}
	var kind struct {
		Kind authz.Kind `json:"kind"`
	}
	if err := json.Unmarshal(text, &kind, r.options[1]); err != nil {
		return nil, decodeError(err)
	}
	var record *admin.Record
	var err error
	switch kind.Kind {
	case authz.KindRole, authz.KindGroup:
		var l permissionsLine
		err = json.Unmarshal(text, &l, r.options...)
		record = &admin.Record{Kind: l.Kind, ID: l.ID, Name: l.Name, Permissions: l.Permissions}
	case authz.KindPatientGroup:
		var l patientGroupLine
		err = json.Unmarshal(text, &l, r.options...)
		record = &admin.Record{Kind: l.Kind, ID: l.ID, Name: l.Name}
	case authz.KindTeamMember:
		var l teamMemberLine
		err = json.Unmarshal(text, &l, r.options...)
		record = &admin.Record{
			Kind: l.Kind, ID: l.ID, Name: l.Name, Role: l.Role, Groups: l.Groups,
			IsProvider: l.Provider, Access: l.Access, Booking: l.Booking,
		}
	case authz.KindPatient:
		var l patientLine
		err = json.Unmarshal(text, &l, r.options...)
		record = &admin.Record{Kind: l.Kind, ID: l.ID, PatientGroup: l.PatientGroup, CareTeam: l.CareTeam}
	case authz.KindBooking:
		var l bookingLine
		err = json.Unmarshal(text, &l, r.options...)
		record = &admin.Record{Kind: l.Kind, ID: l.ID, Patient: l.Patient, Provider: l.Provider, State: l.State}
	default:
		return nil, admin.UnknownKind("kind", kind.Kind)
	}
	if err != nil {
		return nil, decodeError(err)
	}
	return record, nil
}

// errNull is the error for null, which the json package would take as absent.
var errNull = errors.New("null")

// withoutNull refuses null wherever a value is expected.
func withoutNull() *json.Unmarshalers {
	return json.JoinUnmarshalers(
		json.UnmarshalFromFunc(refuseNull[*string]),
		json.UnmarshalFromFunc(refuseNull[*authz.Kind]),
		json.UnmarshalFromFunc(refuseNull[*admin.State]),
		json.UnmarshalFromFunc(refuseNull[*bool]),
		json.UnmarshalFromFunc(refuseNull[*[]string]),
	)
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
			return bad(field, "is no field of this kind of record; check the spelling or remove it")
		case errors.Is(e.Err, errNull):
			return bad(field, "is null; leave the field out instead")
		case e.GoType == reflect.TypeFor[bool]():
			return bad(field, "must be true or false")
		case e.GoType == reflect.TypeFor[[]string]():
			return bad(field, "must be a list of texts, such as [\"a\",\"b\"]")
		default:
			return bad(field, "must be a text in quotes")
		}
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(e.Err, jsontext.ErrDuplicateName) {
			return bad(fieldOf(e.JSONPointer), "stands in the record twice; keep one")
		}
		return bad("", "is not JSON at byte %d (%v); write one whole object on the line", e.ByteOffset+1, e.Err)
	}
	return bad("", "is not a JSON object; write one whole object on the line")
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

// bad makes the error for a field of a record.
func bad(field, format string, args ...any) *authz.Error {
	return authz.Errorf(authz.Malformed, field, format, args...)
}
