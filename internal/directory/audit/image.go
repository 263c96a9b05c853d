package audit

import (
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/model"
)

// aboutChange makes a finding about a change in the stream, by its id.
func aboutChange(id, format string, args ...any) Finding {
	return aboutKey(RuleHistory, kindChange, id, remedyHistory, format, args...)
}

// changeForm returns what is wrong with the fields of a change but its images.
func changeForm(e changeEntry) []Finding {
	names := make([]string, 0, len(e.fields)/2)
	for field := range slices.Chunk(e.fields, 2) {
		names = append(names, field[0])
	}
	if !slices.Equal(names, []string{"prev", "nonce", "at", "by", "via", "req", "images"}) {
		return []Finding{aboutChange(e.id, "has not the fields that a change has")}
	}
	var found []Finding
	for field := range slices.Chunk(e.fields, 2) {
		if !validChangeField(field[0], field[1]) {
			found = append(found, aboutChange(e.id, "has a value that no change can have, in %s", field[0]))
		}
	}
	if prev, nonce := script.ValueOf(e.fields, "prev"), script.ValueOf(e.fields, "nonce"); len(found) == 0 && !follows(prev, nonce) {
		found = append(found, aboutChange(e.id, "has a nonce that does not follow from the one before"))
	}
	return found
}

func validChangeField(name, value string) bool {
	switch name {
	case "prev":
		return value == "" || validNonce(value)
	case "nonce":
		return validNonce(value)
	case "at":
		at, err := strconv.ParseInt(value, 10, 64)
		return err == nil && at > 0 && strconv.FormatInt(at, 10) == value
	case "via":
		return value == "api" || value == "import"
	case "by", "req":
		return validText(value) && !strings.ContainsFunc(value, unicode.IsControl)
	default:
		return true
	}
}

// A nonce begins with characters of base64url that stand for six random bytes; what
// follows is made of them and of the nonce before.
const nonceStart = 8

// validNonce reports whether a text is what tells revisions apart.
func validNonce(text string) bool {
	return len(text) == nonceStart+6 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// follows reports whether a nonce was made after another one, "" for none.
func follows(prev, nonce string) bool {
	sum := sha1.Sum([]byte(prev + ":" + nonce[:nonceStart]))
	return strings.HasPrefix(hex.EncodeToString(sum[:]), nonce[nonceStart:])
}

// changeCount returns the number of the revision whose change has an id.
func changeCount(id string) (uint64, bool) {
	number, sequence, _ := strings.Cut(id, "-")
	count, err := strconv.ParseUint(number, 10, 64)
	return count, err == nil && count > 0 && sequence == "0"
}

// compareIDs compares two ids of a stream.
func compareIDs(a, b string) int {
	at := func(id string) []uint64 {
		ms, sequence, _ := strings.Cut(id, "-")
		first, _ := strconv.ParseUint(ms, 10, 64) // Redis writes no other ids
		second, _ := strconv.ParseUint(sequence, 10, 64)
		return []uint64{first, second}
	}
	return slices.Compare(at(a), at(b))
}

// problem returns what an image says that no script writes, "" for nothing.
func problemOf(i *layout.Image) string {
	if !model.Has(i.Key.Kind) || !admin.ValidID(i.Key.ID) {
		return "names what no entity is called"
	}
	switch {
	case !i.Existed && !i.Exists:
		return "names an entity that neither was nor is"
	case !i.Existed && len(i.Before) > 0, !i.Exists && len(i.After) > 0:
		return "has fields of an entity that did not exist"
	case !i.Existed:
		return wholeOf(i, i.After)
	case !i.Exists:
		return wholeOf(i, i.Before)
	}
	was, is := fieldsOf(i.Before), fieldsOf(i.After)
	for field, value := range was {
		if next, there := is[field]; there && next == value {
			return "names a field that did not change"
		}
	}
	if len(was)*2 != len(i.Before) || len(is)*2 != len(i.After) {
		return "names a field twice"
	}
	return cmp.Or(unknownOf(i, i.Before), unknownOf(i, i.After))
}

// unknown returns what is wrong with fields one by one.
func unknownOf(i *layout.Image, fields []string) string {
	e := new(layout.Entity)
	for field := range slices.Chunk(fields, 2) {
		known, _ := e.Set(i.Key.Kind, field[0], field[1])
		f, id := model.StoredField(i.Key.Kind, field[0])
		edge := f != nil && f.Edge != ""
		switch {
		case !known, field[0] == "rev",
			edge && !admin.ValidID(id),
			strings.HasPrefix(field[0], "c:") && !validSources(field[1]),
			!edge && (!validText(field[1]) || strings.ContainsFunc(field[1], unicode.IsControl)):
			return "has a field or a value that no entity of the kind can have"
		}
	}
	return ""
}

// whole returns what is wrong with fields that are to be all of an entity.
func wholeOf(i *layout.Image, fields []string) string {
	if len(fieldsOf(fields))*2 != len(fields) {
		return "names a field twice"
	}
	if problem := unknownOf(i, fields); problem != "" {
		return problem
	}
	e, err := layout.EntityOf(i.Key.Kind, script.HashText(append([]string{"rev", "1.x"}, fields...)...))
	if err != nil || e == nil {
		return "has not all fields of an entity that was made or deleted"
	}
	return ""
}

// fieldsOf returns names and values in turn as a map.
func fieldsOf(list []string) map[string]string {
	fields := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		fields[list[i]] = list[i+1]
	}
	return fields
}
