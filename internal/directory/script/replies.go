package script

import (
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/authz"
)

// Item returns the item with number i of a reply, if it is there and a T.
func Item[T any](reply []any, i int) (T, bool) {
	var zero T
	if i >= len(reply) {
		return zero, false
	}
	value, ok := reply[i].(T)
	return value, ok
}

// Texts returns the list of texts with number i of a reply.
func Texts(reply []any, i int) ([]string, bool) {
	list, ok := Item[[]any](reply, i)
	if !ok {
		return nil, false
	}
	out := make([]string, len(list))
	for j := range list {
		if out[j], ok = list[j].(string); !ok {
			return nil, false
		}
	}
	return out, true
}

// EachField calls f for every field of a hash, which a script returns as one
// text: fields and values in turn with zero bytes between them.
func EachField(reply any, f func(field, value string) error) error {
	rest, ok := reply.(string)
	if _, lost := reply.(int64); lost {
		return Damaged("an entity is listed that does not exist; perhaps Redis evicted it, which its maxmemory-policy must not allow")
	}
	if !ok {
		return Damaged("the reply is no hash")
	}
	for more := rest != ""; more; {
		var field, value string
		if field, rest, more = strings.Cut(rest, "\x00"); !more {
			return Damaged("the reply is cut off")
		}
		value, rest, more = strings.Cut(rest, "\x00")
		if err := f(field, value); err != nil {
			return err
		}
	}
	return nil
}

// HashText writes fields and values in turn as scripts return a hash.
func HashText(fields ...string) string { return strings.Join(fields, "\x00") }

// Message reads an entry as a script returns it.
func Message(raw any) (redis.XMessage, bool) {
	entry, ok := raw.([]any)
	id, ok2 := Item[string](entry, 0)
	fields, ok3 := Texts(entry, 1)
	if !ok || !ok2 || !ok3 || len(fields)%2 != 0 {
		return redis.XMessage{}, false
	}
	message := redis.XMessage{ID: id, Values: make(map[string]any, len(fields)/2)}
	for i := 0; i < len(fields); i += 2 {
		message.Values[fields[i]] = fields[i+1]
	}
	return message, true
}

// Damaged makes the error for facts that no script of Caregate wrote.
func Damaged(format string, args ...any) *authz.Error {
	return authz.Errorf(authz.Unavailable, "",
		"the facts of this organisation are damaged: "+format+"; only Caregate may write its keys, restore them from an export", args...)
}

// ValueOf returns the value that follows a name among names and values in turn, "" for none.
func ValueOf(fields []string, name string) string {
	for field := range slices.Chunk(fields, 2) {
		if field[0] == name {
			return field[1]
		}
	}
	return ""
}
