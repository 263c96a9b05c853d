package directory

import (
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// change is one entry of the stream of changes.
type change struct {
	revision, previous authz.Revision // previous is the zero one for the first
	at                 time.Time
	author             admin.Author
	touched            []authz.Key // the keys of images
	images             []image
}

// image is what a change did to one entity: the fields that differ and their
// values, in turn, as its hash had and has them.
type image struct {
	key             authz.Key
	existed, exists bool
	before, after   []string
}

// changeOf reads an entry of the stream.
func changeOf(entry redis.XMessage) (change, error) {
	number, sequence, _ := strings.Cut(entry.ID, "-")
	count, err := strconv.ParseUint(number, 10, 64)
	if err != nil || count == 0 || sequence != "0" {
		return change{}, damagedStream()
	}
	damage := false
	field := func(name string) string {
		value, ok := entry.Values[name].(string)
		damage = damage || !ok
		return value
	}
	c := change{
		revision: authz.Revision{Count: count, Nonce: field("nonce")},
		author:   admin.Author{Actor: field("by"), Via: field("via"), Request: field("req")},
	}
	if nonce := field("prev"); nonce != "" {
		c.previous = authz.Revision{Count: count - 1, Nonce: nonce}
	}
	milliseconds, err := strconv.ParseInt(field("at"), 10, 64)
	c.at = time.UnixMilli(milliseconds).UTC()
	images, ok := imagesOf(field("images"))
	if err != nil || !ok || damage || c.revision.Nonce == "" || (c.previous.Nonce == "") != (count == 1) {
		return change{}, damagedStream()
	}
	c.images = images
	c.touched = make([]authz.Key, len(images))
	for i := range images {
		c.touched[i] = images[i].key
	}
	return c, nil
}

func damagedStream() *authz.Error {
	return damaged("an entry of the stream of changes is none that Caregate wrote")
}

// imagesOf reads the images of an entry.
func imagesOf(text string) ([]image, bool) {
	out := make([]image, 0, strings.Count(text, "\x02")+1)
	for part := range strings.SplitSeq(text, "\x02") {
		name, rest, ok := strings.Cut(part, "\x01")
		kind, id, ok2 := strings.Cut(name, ":")
		flags, rest, ok3 := strings.Cut(rest, "\x01")
		before, after, ok4 := strings.Cut(rest, "\x01")
		if !ok || !ok2 || !ok3 || !ok4 || len(flags) != 2 || strings.Trim(flags, "01") != "" {
			return nil, false
		}
		i := image{
			key:     authz.Key{Kind: authz.Kind(kind), ID: id},
			existed: flags[0] == '1', exists: flags[1] == '1',
		}
		if i.before, ok = fieldList(before); !ok {
			return nil, false
		}
		if i.after, ok = fieldList(after); !ok {
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
