package directory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/transfer"
)

func readAll(text string) (records []admin.Record, err error) {
	r := transfer.NewRecordReader(strings.NewReader(text))
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return records, err
		}
		records = append(records, *record)
	}
}

func TestReadRecordsRefuses(t *testing.T) {
	long := strings.Repeat("x", 257)
	for line, want := range map[string]string{
		`[]`:                                "line 2: is not a JSON object",
		`"role"`:                            "line 2: is not a JSON object",
		`null`:                              "line 2: is not a JSON object",
		`{"kind":"role"`:                    "line 2: is not JSON at byte 15",
		`{"kind":"role"}}`:                  "line 2: is not JSON at byte 16",
		`{"kind":"role"} {}`:                "line 2: is not JSON at byte 17",
		`{kind:"role"}`:                     "line 2: is not JSON at byte 2",
		`{'kind':'role'}`:                   "line 2: is not JSON at byte 2",
		`{}`:                                "line 2: kind: is missing; write one of role, group, patient_group, team_member, patient, booking",
		`{"kind":""}`:                       "line 2: kind: is missing",
		`{"kind":"doctor"}`:                 `line 2: kind: "doctor" is no kind of record; write one of role, `,
		`{"kind":"Role"}`:                   "line 2: kind: is no kind of record",
		`{"kind":1}`:                        "line 2: kind: must be a text",
		`{"kind":null}`:                     "line 2: kind: is null",
		`{"Kind":"role"}`:                   "line 2: kind: is missing",
		`{"kind":"role","id":"a","id":"b"}`: "line 2: id: stands in the record twice",
		`{"kind":"role","id":"a","kind":"group"}`:                                   "line 2: kind: stands in the record twice",
		`{"kind":"role","id":"a","\u0069d":"b"}`:                                    "line 2: id: stands in the record twice",
		`{"kind":"role","id":"a","colour":"red"}`:                                   "line 2: colour: is no field of this kind of record",
		`{"kind":"role","id":"a","Name":"x"}`:                                       "line 2: Name: is no field",
		`{"kind":"role","id":"a","provider":true}`:                                  "line 2: provider: is no field",
		`{"kind":"patient","id":"a","patient_group":"b","name":"x"}`:                "line 2: name: is no field",
		"{\"kind\":\"role\",\"id\":\"a\",\"x\\ny\":1}":                              "line 2: \"x\\ny\": is no field",
		`{"kind":"role","permissions":[]}`:                                          "line 2: id: is missing or empty",
		`{"kind":"role","id":""}`:                                                   "line 2: id: is missing or empty",
		`{"kind":"role","id":7}`:                                                    "line 2: id: must be a text",
		`{"kind":"role","id":null}`:                                                 "line 2: id: is null; leave the field out",
		`{"kind":"role","id":"` + long + `"}`:                                       "line 2: id: is 257 bytes long; an id has at most 256",
		`{"kind":"role","id":"a\u0000b"}`:                                           "line 2: id: has a control character",
		`{"kind":"role","id":"a\nb"}`:                                               "line 2: id: has a control character",
		`{"kind":"role","id":"a\u0085b"}`:                                           "line 2: id: has a control character",
		`{"kind":"role","id":"a\ud800b"}`:                                           "line 2: is not JSON at byte",
		"{\"kind\":\"role\",\"id\":\"a\xffb\"}":                                     "line 2: is not UTF-8; save it",
		`{"kind":"role","id":"a","name":"a\tb"}`:                                    "line 2: name: has a control character",
		`{"kind":"role","id":"a","name":"` + strings.Repeat(long, 4) + `"}`:         "line 2: name: is 1028 bytes long",
		`{"kind":"role","id":"a","permissions":"a:b"}`:                              "line 2: permissions: must be a list of texts",
		`{"kind":"role","id":"a","permissions":null}`:                               "line 2: permissions: is null",
		`{"kind":"role","id":"a","permissions":{"a:b":true}}`:                       "line 2: permissions: must be a list of texts",
		`{"kind":"role","id":"a","permissions":["a:b",1]}`:                          "line 2: permissions[1]: must be a text",
		`{"kind":"role","id":"a","permissions":["a:b",null]}`:                       "line 2: permissions[1]: is null",
		`{"kind":"role","id":"a","permissions":["a:b","a:c","a:b"]}`:                "line 2: permissions[2]: stands in the list twice",
		`{"kind":"role","id":"a","permissions":[""]}`:                               "line 2: permissions[0]: is not a permission",
		`{"kind":"role","id":"a","permissions":["patient"]}`:                        "line 2: permissions[0]: is not a permission; write type:action, type:* or *:*",
		`{"kind":"role","id":"a","permissions":["*"]}`:                              "line 2: permissions[0]: is not a permission",
		`{"kind":"role","id":"a","permissions":[":view"]}`:                          "line 2: permissions[0]: is not a permission",
		`{"kind":"role","id":"a","permissions":["patient:"]}`:                       "line 2: permissions[0]: is not a permission",
		`{"kind":"role","id":"a","permissions":["a:b:c"]}`:                          "line 2: permissions[0]: is not a permission",
		`{"kind":"role","id":"a","permissions":["a:b","*:update"]}`:                 "line 2: permissions[1]: grants one action on every type, which is not possible; write one permission for each type, such as patient:update, or *:*",
		`{"kind":"role","id":"a","permissions":["pat*:view"]}`:                      "line 2: permissions[0]: has a * beside",
		`{"kind":"role","id":"a","permissions":["patient:v*"]}`:                     "line 2: permissions[0]: has a * beside",
		`{"kind":"role","id":"a","permissions":["patient:**"]}`:                     "line 2: permissions[0]: has a * beside",
		`{"kind":"role","id":"a","permissions":["patient: view"]}`:                  "line 2: permissions[0]: has a space",
		`{"kind":"role","id":"a","permissions":["a:` + long + `"]}`:                 "line 2: permissions[0]: is 259 bytes long",
		`{"kind":"team_member","id":"a","provider":"yes"}`:                          "line 2: provider: must be true or false",
		`{"kind":"team_member","id":"a","provider":1}`:                              "line 2: provider: must be true or false",
		`{"kind":"team_member","id":"a","role":["x"]}`:                              "line 2: role: must be a text",
		`{"kind":"team_member","id":"a","role":"a\u0007"}`:                          "line 2: role: has a control character",
		`{"kind":"team_member","id":"a","groups":[""]}`:                             "line 2: groups[0]: is missing or empty",
		`{"kind":"team_member","id":"a","access":["x","x"]}`:                        "line 2: access[1]: stands in the list twice",
		`{"kind":"team_member","id":"a","booking":["x"]}`:                           "line 2: provider: must be true for a team member with booking assignments",
		`{"kind":"team_member","id":"a","provider":false,"booking":["x"]}`:          "line 2: provider: must be true",
		`{"kind":"team_member","id":"a","permissions":["a:b"]}`:                     "line 2: permissions: is no field",
		`{"kind":"patient","id":"a"}`:                                               "line 2: patient_group: is missing; every patient is in exactly one",
		`{"kind":"patient","id":"a","patient_group":["x"]}`:                         "line 2: patient_group: must be a text",
		`{"kind":"patient","id":"a","patient_group":"x","care_team":"y"}`:           "line 2: care_team: must be a list",
		`{"kind":"booking","id":"a","provider":"x","state":"booked"}`:               "line 2: patient: is missing or empty",
		`{"kind":"booking","id":"a","patient":"x","state":"booked"}`:                "line 2: provider: is missing or empty",
		`{"kind":"booking","id":"a","patient":"x","provider":true}`:                 "line 2: provider: must be a text",
		`{"kind":"booking","id":"a","patient":"x","provider":"y"}`:                  "line 2: state: is missing; write booked, cancelled or released",
		`{"kind":"booking","id":"a","patient":"x","provider":"y","state":"Booked"}`: "line 2: state: is no state of a booking; write booked, cancelled or released",
	} {
		_, err := readAll("\n" + line + "\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", line, err, want)
		}
		if kind := authz.KindOf(err); err != nil && kind != authz.Malformed {
			t.Errorf("%s: the error is of kind %d", line, kind)
		}
	}
}

func TestReadRecordsForms(t *testing.T) {
	const one = `{"kind":"patient_group","id":"a"}`
	for name, test := range map[string]struct {
		text    string
		records int
		want    string
	}{
		"nothing":              {"", 0, ""},
		"blank lines":          {"\n\r\n  \n\t\n", 0, ""},
		"no newline at end":    {one, 1, ""},
		"CRLF":                 {one + "\r\n\r\n" + one + "\r\n", 2, ""},
		"spaces around":        {"  " + one + "\t\n", 1, ""},
		"byte order mark":      {"\xEF\xBB\xBF" + one, 0, "line 1: begins with a byte order mark; save it as UTF-8 without one"},
		"UTF-16":               {"\xff\xfe{\x00", 0, "line 1: is UTF-16; save it as UTF-8"},
		"two on a line":        {one + one, 0, "line 1: is not JSON"},
		"one on two lines":     {"{\"kind\":\n\"role\"}", 0, "line 1: is not JSON"},
		"a good one and a bad": {one + "\n\n" + one + "\nx", 2, "line 4: is not a JSON object"},
		"the longest line":     {pad(one, transfer.MaxLine) + "\r\n" + one, 2, ""},
		"one byte longer":      {one + "\n" + pad(one, transfer.MaxLine+1) + "\n", 1, "line 2: is longer than 1 MiB"},
		"much longer":          {one + "\n" + pad(one, 3*transfer.MaxLine), 1, "line 2: is longer than 1 MiB"},
	} {
		records, err := readAll(test.text)
		if len(records) != test.records {
			t.Errorf("%s: %d records, expected %d", name, len(records), test.records)
		}
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: got %v, expected %q", name, err, test.want)
		}
	}
}

// pad makes a record n bytes long.
func pad(record string, n int) string {
	return "{" + strings.Repeat(" ", n-len(record)) + record[1:]
}

// No error about a record may repeat what could identify a person.
func TestReadRecordsRepeatNoID(t *testing.T) {
	for _, line := range []string{
		`{"kind":"patient","id":"SECRET"}`,
		`{"kind":"patient","id":"SECRET","patient_group":7}`,
		`{"kind":"patient","id":"SECRET","patient_group":"SECRET","care_team":["SECRET","SECRET"]}`,
		`{"kind":"patient","id":"SECRET` + strings.Repeat("x", 300) + `"}`,
		`{"kind":"SECRET","id":"SECRET"}`,
		`{"kind":"booking","id":"SECRET","patient":"SECRET","provider":"SECRET","state":"SECRET"}`,
		`{"kind":"role","id":"SECRET","permissions":["*:SECRET"]}`,
		`{"kind":"role","id":"SECRET" "name":"SECRET"}`,
	} {
		if _, err := readAll(line); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// FuzzReadRecords reads anything without a panic. What it accepts, written out
// and read again, is equal.
func FuzzReadRecords(f *testing.F) {
	f.Add(strings.Join(clinic(), "\n"))
	f.Add("\xEF\xBB\xBF{}")
	f.Add("{\"kind\":\"role\",\"id\":\"\\u0000\"}\r\n\r\n{")
	f.Add(`{"kind":"team_member","id":"é","provider":true,"booking":["👩‍⚕️","\u2028"],"role":"","groups":[],"access":[]}`)
	f.Add(`{"kind":"role","id":"a","permissions":["*:*","a:*","a:b"],"name":"\"\\\/\b"}`)
	example, err := data.OpenExample()
	if err != nil {
		f.Fatal(err)
	}
	text, err := io.ReadAll(example)
	if err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		f.Add(string(line))
	}
	f.Fuzz(func(t *testing.T, text string) {
		records, err := readAll(text)
		if err != nil {
			if _, ok := errors.AsType[*authz.Error](err); !ok {
				t.Errorf("%T is no error of the domain", err)
			}
		}
		var written []byte
		for i := range records {
			if written, err = transfer.AppendLine(written, &records[i]); err != nil {
				t.Fatal(err)
			}
		}
		again, err := readAll(string(written))
		if err != nil {
			t.Fatalf("%s\nwas accepted, and written out as\n%s\nis not: %v", text, written, err)
		}
		if len(again) != len(records) {
			t.Fatalf("%d records became %d", len(records), len(again))
		}
		for i := range records {
			if a, b := plain(records[i]), plain(again[i]); !reflect.DeepEqual(a, b) {
				t.Errorf("%+v became %+v", a, b)
			}
		}
	})
}

// plain makes lists that are absent and lists that are empty alike.
func plain(r admin.Record) admin.Record {
	for _, list := range []*[]string{&r.Permissions, &r.Groups, &r.Access, &r.Booking, &r.CareTeam} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	return r
}

// The example organisation is there, whole, and has what its rules are shown by.
func TestExampleOrganisation(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.org = data.ExampleOrganisation
		example, err := data.OpenExample()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = example.Close() }()
		done, err := s.Import(t.Context(), s.org, example, ImportOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if done.Records < 40 || done.Records > 65 || done.Revision.Count != 1 {
			t.Errorf("imported %+v", done)
		}
		roundTrip(t, s)
		facts := s.facts(t, member("mark"), member("priya"), patient("p-4"), patient("p-6"), patient("p-12"))
		if mark := facts.Get(member("mark")); mark.Role != "practitioner" || !mark.Provider {
			t.Errorf("mark is read as %+v", mark)
		}
		if priya := facts.Get(member("priya")); len(priya.Access) != 0 || len(priya.Booking) == 0 { // B2
			t.Errorf("priya is read as %+v", priya)
		}
		if team := fmt.Sprint(sorted(facts.Get(patient("p-6")).CareTeam)); team != "[li priya]" { // B6: cancelled
			t.Errorf("the care team of p-6 is %s", team)
		}
		if team := fmt.Sprint(facts.Get(patient("p-4")).CareTeam); team != "[mark]" { // B6: released
			t.Errorf("the care team of p-4 is %s", team)
		}
	})
}

// The documentation of the format is a file that can be imported.
func TestDocumentedFormat(t *testing.T) {
	text, err := os.ReadFile("testdata/format.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if records, err := readAll(string(text)); err != nil || len(records) != 6 {
		t.Errorf("%d records, %v", len(records), err)
	}
}
