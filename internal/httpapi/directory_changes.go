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

// How many changes are read at a time, for a page and for each of many streams: one
// may be of a thousand records.
const (
	pagePart   = 100
	streamPart = 8
)

// enoughOfChanges ends a page of changes, in bytes, before it has as many as asked
// for.
const enoughOfChanges = 1 << 20

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
	after, err := revisionOf(given)
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
	after, err := revisionOf(f.texts["after"] + f.numbers["after"])
	if err != nil {
		return err
	}
	limit, err := limitOf(f.numbers["limit"])
	if err != nil {
		return err
	}
	return x.history(actor, after, limit)
}

// revisionOf reads where changes begin: a token, the count of one alone, or
// nothing for the oldest change that is remembered.
func revisionOf(after string) (authz.Revision, error) {
	if after == "" {
		return authz.Revision{}, nil
	}
	if count, err := strconv.ParseUint(after, 10, 64); err == nil {
		return authz.Revision{Count: count}, nil
	}
	revision, err := authz.ParseRevision(after)
	if err != nil {
		return revision, authz.Errorf(authz.Malformed, "after", "must be a revision, as Caregate-Revision or next said it, or its count")
	}
	return revision, nil
}

// history answers a page of changes. It ends at limit, at the newest change, or
// when it is long enough.
func (x *exchange) history(actor admin.Actor, after authz.Revision, limit int) error {
	b := append(x.out[:0], `{"changes":[`...)
	var h admin.History
	var err error
	for n := 0; ; {
		h, err = x.api.cfg.Administration.History(x.ctx, x.organisation(), actor, after, min(limit-n, pagePart))
		if err != nil {
			return err
		}
		for i := range h.Events {
			if n++; n > 1 {
				b = append(b, ',')
			}
			b = appendChange(b, &h.Events[i])
			after = h.Events[i].Revision
		}
		if len(h.Events) == 0 || n >= limit || len(b) > enoughOfChanges || after == h.Newest {
			break
		}
	}
	if after == (authz.Revision{}) || after.Nonce == "" && after.Count == h.Newest.Count {
		after = h.Newest // a count alone is no token, and there is nothing between
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

// appendChange appends one change.
func appendChange(dst []byte, e *admin.Event) []byte {
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
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendEntityChange(dst, &e.Entities[i])
	}
	return append(dst, `]}`...)
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
