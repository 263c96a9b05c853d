package httpapi

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// How many changes are read at a time, for a page and for each of many streams.
const (
	pagePart   = 100
	streamPart = 8
)

// maxChanges is the most bytes of changes that a page has, and a part of one change in
// a stream, unless a single record takes more.
const maxChanges = 1<<20 - 1<<10

// changes answers what changed after a revision (A3), as a page or, if that is what
// the caller accepts, as a stream.
func (a *API) changes(x *exchange, actor admin.Actor) error {
	given := x.echo.QueryParam("after")
	if accepts(x.request.Header["Accept"], "text/event-stream") {
		after, err := x.lastSeen(given)
		if err != nil {
			return err
		}
		return a.stream(x, actor, after)
	}
	after, err := placeOf(given)
	if err != nil {
		return err
	}
	limit, err := limitOf(x.echo.QueryParam("limit"))
	if err != nil {
		return err
	}
	return x.history(actor, after, limit)
}

// changesByBody answers the same page.
func (a *API) changesByBody(x *exchange, actor admin.Actor) error {
	f, err := x.fields(map[string]want{"after": wantText | wantNumber, "limit": wantNumber})
	if err != nil {
		return err
	}
	after, err := placeOf(f.texts["after"] + f.numbers["after"])
	if err != nil {
		return err
	}
	limit, err := limitOf(f.numbers["limit"])
	if err != nil {
		return err
	}
	return x.history(actor, after, limit)
}

// placeOf reads where changes begin: a token, the count of a revision alone, or
// nothing for the oldest change that is remembered.
func placeOf(after string) (admin.Place, error) {
	if after == "" {
		return admin.Place{}, nil
	}
	if count, err := strconv.ParseUint(after, 10, 64); err == nil {
		return admin.After(authz.Revision{Count: count}), nil
	}
	place, err := admin.ParsePlace(after)
	if err != nil {
		return place, authz.Errorf(authz.Malformed, "after", "must be a revision, as Caregate-Revision or next said it, or its count")
	}
	return place, nil
}

// history answers a page of changes. It ends at limit, at the newest change, or
// before it is too long. A change that is too long by itself is told in parts.
func (x *exchange) history(actor admin.Actor, after admin.Place, limit int) error {
	b := append(x.out[:0], `{"changes":[`...)
	var h admin.History
	var err error
	for n, full := 0, false; !full; {
		h, err = x.api.cfg.Administration.History(x.ctx, x.organisation(), actor, after, min(limit-n, pagePart))
		if err != nil {
			return err
		}
		full = len(h.Events) == 0
		for i := range h.Events {
			begin := len(b)
			if n > 0 {
				b = append(b, ',')
			}
			e, told := &h.Events[i], 0
			b, told = appendChange(b, e, maxChanges)
			if n > 0 && (len(b) > maxChanges || e.From+told < e.Of) { // it begins the next page
				b, full = b[:begin], true
				break
			}
			n++
			after = e.Next(told)
			full = full || after.Entities > 0
		}
		full = full || n >= limit || after.Revision == h.Newest
	}
	if after == (admin.Place{}) || after.Nonce == "" && after.Count == h.Newest.Count && after.Entities == 0 {
		after = admin.After(h.Newest) // a count alone is no token, and there is nothing between
	}
	if err := x.at(h.Newest); err != nil {
		return err
	}
	b = appendText(append(b, ']'), "next", after.String())
	b = appendText(b, "oldest", h.Oldest.String())
	b = appendText(b, "newest", h.Newest.String())
	x.out = append(b, '}')
	x.ok(x.out)
	return nil
}

// appendChange appends one change with its first entities: as many as fit before dst has
// most bytes, and one at least. told is how many they are.
func appendChange(dst []byte, e *admin.Event, most int) (_ []byte, told int) {
	dst = appendString(append(dst, `{"revision":`...), e.Revision.String())
	dst = appendText(dst, "previous", e.Previous.String())
	dst = appendText(dst, "at", e.At.UTC().Format(time.RFC3339Nano))
	for _, part := range [3]struct{ name, value string }{
		{"actor", e.Author.Actor}, {"via", e.Author.Via}, {"request", e.Author.Request},
	} {
		if part.value != "" {
			dst = appendText(dst, part.name, part.value)
		}
	}
	dst = append(dst, `,"entities":[`...)
	for i := range e.Entities {
		begin := len(dst)
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst = appendEntityChange(dst, &e.Entities[i]); len(dst) > most && i > 0 {
			dst = dst[:begin]
			break
		}
		told++
	}
	dst = append(dst, ']')
	if e.From > 0 || told < e.Of {
		dst = strconv.AppendInt(append(dst, `,"part":{"from":`...), int64(e.From), 10)
		dst = append(strconv.AppendInt(append(dst, `,"of":`...), int64(e.Of), 10), '}')
	}
	return append(dst, '}'), told
}

func appendEntityChange(dst []byte, e *admin.EntityEvent) []byte {
	change := "updated"
	switch {
	case !e.Existed:
		change = "created"
	case !e.Exists:
		change = "deleted"
	}
	dst = appendText(appendKey(append(dst, '{'), e.Key), "change", change)
	if len(e.Before) > 0 {
		dst = appendImage(append(dst, `,"before":`...), e.Before)
	}
	if len(e.After) > 0 {
		dst = appendImage(append(dst, `,"after":`...), e.After)
	}
	return append(dst, '}')
}

// appendImage appends the fields of one side of a change.
func appendImage(dst []byte, image map[string]any) []byte {
	dst = append(dst, '{')
	for i, name := range slices.Sorted(maps.Keys(image)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, name), ':')
		switch value := image[name].(type) {
		case string:
			dst = appendString(dst, value)
		case bool:
			dst = strconv.AppendBool(dst, value)
		case []string:
			dst = appendStrings(dst, value)
		case map[string][]string:
			dst = appendSources(dst, value)
		default:
			dst = append(dst, `null`...)
		}
	}
	return append(dst, '}')
}

// accepts reports whether a caller named a media type among those it takes. One that
// takes anything did not.
func accepts(header []string, media string) bool {
	for _, list := range header {
		for one := range strings.SplitSeq(list, ",") {
			name, parameters, _ := strings.Cut(one, ";")
			refused := strings.HasPrefix(strings.ReplaceAll(parameters, " ", ""), "q=0") && !strings.ContainsAny(parameters, "123456789")
			if strings.EqualFold(strings.TrimSpace(name), media) && !refused {
				return true
			}
		}
	}
	return false
}
