package directory

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/connect"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/model"
)

// The limits on a page of history.
const (
	maxEvents     = 1000
	maxEventBytes = 512 << 10 // of images, but for a single one that has more
)

// History implements admin.Store. A limit below 1 or above 1,000 means 1,000. An
// organisation that does not exist is NotFound.
func (d *Directory) History(ctx context.Context, organisation string, after admin.Place, limit int) (admin.History, error) {
	if !admin.ValidID(organisation) {
		return admin.History{}, script.NoOrganisation()
	}
	if limit < 1 || limit > maxEvents {
		limit = maxEvents
	}
	if after.Count > maxCount {
		return admin.History{}, notRemembered()
	}
	reply, err := d.scripts.History.RunRO(ctx, d.administers, []string{script.HeadKey(organisation)},
		script.Schemas, strconv.FormatUint(after.Count, 10), after.Nonce, limit, maxEventBytes, after.Entities).Slice()
	if err != nil {
		return admin.History{}, connect.Unavailable(ctx, err)
	}
	if len(reply) == 0 {
		return admin.History{}, script.Damaged("the reply has no head")
	}
	head, err := script.HeadOf(reply[0])
	if err != nil {
		return admin.History{}, err
	}
	if !head.Exists {
		return admin.History{}, script.NoOrganisation()
	}
	return historyOf(head.Revision, after, reply)
}

// maxCount is the highest count of a revision that scripts count on from.
const maxCount = 999_999_999_999_999

func notRemembered() *authz.Error {
	return authz.Errorf(authz.Behind, "after",
		"that revision is not remembered any more, or is of another history; read the records anew and go on from their revision")
}

// historyOf reads the reply of the script.
func historyOf(newest authz.Revision, after admin.Place, reply []any) (admin.History, error) {
	follows, ok := script.Item[int64](reply, 1)
	oldestID, ok2 := script.Item[string](reply, 2)
	oldestNonce, ok3 := script.Item[string](reply, 3)
	entries, ok4 := script.Item[[]any](reply, 4)
	if !ok || !ok2 || !ok3 || !ok4 {
		return admin.History{}, script.Damaged("the reply is cut off")
	}
	if follows != 1 || after.Count > newest.Count {
		return admin.History{}, notRemembered()
	}
	out := admin.History{Newest: newest, Oldest: newest, Events: make([]admin.Event, 0, len(entries))}
	if oldestID != "" {
		count, err := strconv.ParseUint(strings.TrimSuffix(oldestID, "-0"), 10, 64)
		if err != nil || oldestNonce == "" {
			return admin.History{}, layout.DamagedStream()
		}
		out.Oldest = authz.Revision{Count: count, Nonce: oldestNonce}
	}
	last := after.Revision
	for i, raw := range entries {
		message, ok := script.Message(raw)
		if !ok {
			return admin.History{}, layout.DamagedStream()
		}
		if from, of := partOf(raw); from > 0 && from >= of {
			return admin.History{}, authz.Errorf(authz.Malformed, "after", "is further on than the change has entities; pass back what next said")
		}
		c, err := layout.ChangeOf(message)
		if err != nil {
			return admin.History{}, err
		}
		if last.Nonce != "" && c.Previous != last || c.Revision.Count > newest.Count {
			return admin.History{}, layout.DamagedStream()
		}
		if i == 0 && after.Entities > 0 && c.Revision.Count != after.Count+1 {
			return admin.History{}, notRemembered()
		}
		last = c.Revision
		event, err := eventOf(&c)
		if err != nil {
			return admin.History{}, err
		}
		event.From, event.Of = partOf(raw)
		out.Events = append(out.Events, event)
	}
	return out, nil
}

// partOf reads how many entities of a change come before those given, and how many it has.
func partOf(raw any) (from, of int) {
	entry, _ := raw.([]any)
	before, _ := script.Item[int64](entry, 2)
	all, _ := script.Item[int64](entry, 3)
	return int(before), int(all)
}

// event returns the change as it is told.
func eventOf(c *layout.Change) (admin.Event, error) {
	event := admin.Event{
		Revision: c.Revision, Previous: c.Previous, At: c.At, Author: c.Author,
		Entities: make([]admin.EntityEvent, 0, len(c.Images)),
	}
	for _, i := range c.Images {
		e, ok := entityEventOf(&i)
		if !ok {
			return admin.Event{}, layout.DamagedStream()
		}
		event.Entities = append(event.Entities, e)
	}
	return event, nil
}

// event names the fields as records do.
func entityEventOf(i *layout.Image) (admin.EntityEvent, bool) {
	e := admin.EntityEvent{Key: i.Key, Existed: i.Existed, Exists: i.Exists, Before: map[string]any{}, After: map[string]any{}}
	ok := nameFields(i.Key.Kind, e.Before, i.Before) && nameFields(i.Key.Kind, e.After, i.After)
	// A list of permissions is one field of the hash, so that both have all of it.
	left, _ := e.Before["permissions"].([]string)
	joined, _ := e.After["permissions"].([]string)
	setList(e.Before, "permissions", without(left, joined))
	setList(e.After, "permissions", without(joined, left))
	for _, f := range model.Fields(i.Key.Kind) { // a flag that Redis has only where it is true
		was, is := e.Before[f.Name] != nil, e.After[f.Name] != nil
		switch {
		case f.Since == 0:
		case is && !was && i.Existed:
			e.Before[f.Name] = false
		case was && !is && i.Exists:
			e.After[f.Name] = false
		}
	}
	return e, ok
}

// without returns the items of a list that are not in another one.
func without(list, other []string) []string {
	are := make(map[string]bool, len(other))
	for _, item := range other {
		are[item] = true
	}
	return slices.DeleteFunc(slices.Clone(list), func(item string) bool { return are[item] })
}

// setList sets a list that is not empty.
func setList(to map[string]any, name string, list []string) {
	delete(to, name)
	if len(list) > 0 {
		slices.Sort(list)
		to[name] = list
	}
}

// nameFields puts fields of the hash, and values in turn, into a map. As in a record, an
// empty name or role is none.
func nameFields(kind authz.Kind, to map[string]any, fields []string) bool {
	lists := map[string][]string{}
	careTeam := map[string][]string{}
	for pair := range slices.Chunk(fields, 2) {
		field, value := pair[0], pair[1]
		f, id := model.StoredField(kind, field)
		switch {
		case f != nil && f.Relation == model.CareTeam:
			careTeam[id] = strings.Split(value, "\n")
		case f != nil && f.Edge != "":
			lists[f.Name] = append(lists[f.Name], id)
		case f != nil && f.Type == model.Permissions:
			var permissions []string
			if json.Unmarshal([]byte(value), &permissions) != nil {
				return false
			}
			lists[field] = permissions
		case f != nil && f.Type == model.Flag:
			to[field] = value == "1"
		case value != "":
			to[field] = value
		}
	}
	for name, list := range lists {
		setList(to, name, list)
	}
	if len(careTeam) > 0 {
		to[model.CareTeam.Field().Name] = careTeam
	}
	return true
}
