package layout

import (
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
)

// Change is one entry of the stream of changes.
type Change struct {
	Revision, Previous authz.Revision // previous is the zero one for the first
	At                 time.Time
	Author             admin.Author
	Touched            []authz.Key // the keys of images
	Images             []Image
}

// Image is what a change did to one entity: the fields that differ and their
// values, in turn, as its hash had and has them.
type Image struct {
	Key             authz.Key
	Existed, Exists bool
	Before, After   []string
}

// ChangeOf reads an entry of the stream.
func ChangeOf(entry redis.XMessage) (Change, error) {
	number, sequence, _ := strings.Cut(entry.ID, "-")
	count, err := strconv.ParseUint(number, 10, 64)
	if err != nil || count == 0 || sequence != "0" {
		return Change{}, DamagedStream()
	}
	damage := false
	field := func(name string) string {
		value, ok := entry.Values[name].(string)
		damage = damage || !ok
		return value
	}
	c := Change{
		Revision: authz.Revision{Count: count, Nonce: field("nonce")},
		Author:   admin.Author{Actor: field("by"), Via: field("via"), Request: field("req")},
	}
	if nonce := field("prev"); nonce != "" {
		c.Previous = authz.Revision{Count: count - 1, Nonce: nonce}
	}
	milliseconds, err := strconv.ParseInt(field("at"), 10, 64)
	c.At = time.UnixMilli(milliseconds).UTC()
	images, ok := ImagesOf(field("images"))
	if err != nil || !ok || damage || c.Revision.Nonce == "" || (c.Previous.Nonce == "") != (count == 1) {
		return Change{}, DamagedStream()
	}
	c.Images = images
	c.Touched = make([]authz.Key, len(images))
	for i := range images {
		c.Touched[i] = images[i].Key
	}
	return c, nil
}

// DamagedStream is the error for an entry of the stream that no script of Caregate wrote.
func DamagedStream() *authz.Error {
	return script.Damaged("an entry of the stream of changes is none that Caregate wrote")
}

// ImagesOf reads the images of an entry.
func ImagesOf(text string) ([]Image, bool) {
	out := make([]Image, 0, strings.Count(text, "\x02")+1)
	for part := range strings.SplitSeq(text, "\x02") {
		name, rest, ok := strings.Cut(part, "\x01")
		kind, id, ok2 := strings.Cut(name, ":")
		flags, rest, ok3 := strings.Cut(rest, "\x01")
		before, after, ok4 := strings.Cut(rest, "\x01")
		if !ok || !ok2 || !ok3 || !ok4 || len(flags) != 2 || strings.Trim(flags, "01") != "" {
			return nil, false
		}
		i := Image{
			Key:     authz.Key{Kind: authz.Kind(kind), ID: id},
			Existed: flags[0] == '1', Exists: flags[1] == '1',
		}
		if i.Before, ok = fieldList(before); !ok {
			return nil, false
		}
		if i.After, ok = fieldList(after); !ok {
			return nil, false
		}
		out = append(out, i)
	}
	return out, true
}

// fieldList takes fields and values in turn apart, nil for none.
func fieldList(text string) ([]string, bool) {
	if text == "" {
		return nil, true
	}
	list := strings.Split(text, "\x00")
	return list, len(list)%2 == 0
}
