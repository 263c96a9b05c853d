package httpapi

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/wire"
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
	if acceptsMedia(x.request.Header["Accept"], "text/event-stream") {
		after, err := x.lastSeen(given)
		if err != nil {
			return err
		}
		return a.stream(x, actor, after)
	}
	return x.changesPage(actor, given, wire.Number(x.echo.QueryParam("limit")))
}

// changesByBody answers the same page.
func (a *API) changesByBody(x *exchange, actor admin.Actor) error {
	query, err := body[wire.ChangesQuery](x)
	if err != nil {
		return err
	}
	return x.changesPage(actor, string(query.After), query.Limit)
}

// changesPage answers a page of changes, of a limit, "" for none given.
func (x *exchange) changesPage(actor admin.Actor, after string, limit wire.Number) error {
	place, err := placeOf(after)
	if err != nil {
		return err
	}
	n, err := limit.Whole("limit", maxLimit)
	if err != nil {
		return err
	}
	return x.history(actor, place, cmp.Or(n, defaultLimit))
}

// placeOf returns where changes begin: a token, only the count of a revision, or
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
			if b, told, err = wire.AppendChange(b, e, maxChanges); err != nil {
				return err
			}
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
	if err := x.stateIncluded(h.Newest); err != nil {
		return err
	}
	x.out = wire.AppendRange(append(b, ']'), after, h)
	x.uncached(http.StatusOK)
	return nil
}

// acceptsMedia reports whether a caller named a media type among those it takes. One that
// takes anything did not.
func acceptsMedia(header []string, media string) bool {
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
