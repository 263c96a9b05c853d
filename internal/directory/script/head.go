package script

import (
	"context"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/connect"
)

// The versions of the layout that this build reads and writes: the first one, the newest, which
// is the latest Since of a field, and all as scripts take them, each between spaces. Facts get a
// later one with the first field that needs it, so that builds that do not know the field refuse
// the facts from then on, and not before. The scripts refuse every other one.
const (
	FirstSchema = 2
	Schema      = 3
	Schemas     = " 2 3 "
)

// KnowsSchema reports whether a number, as a head has it, is that of a schema of this build.
func KnowsSchema(text string) bool {
	return text != "" && !strings.Contains(text, " ") && strings.Contains(Schemas, " "+text+" ")
}

// Head is the state of an organisation as a whole. The zero value is one that
// does not exist.
type Head struct {
	Exists   bool
	Revision authz.Revision
}

// HeadOf reads a head and refuses one of another schema.
func HeadOf(reply any) (Head, error) {
	var rev, nonce, version string
	empty := true
	err := EachField(reply, func(field, value string) error {
		empty = false
		switch field {
		case "rev":
			rev = value
		case "nonce":
			nonce = value
		case "schema":
			version = value
		}
		return nil
	})
	if err != nil || empty {
		return Head{}, err
	}
	switch number, err := strconv.Atoi(version); {
	case KnowsSchema(version):
	case err == nil && number > 0 && strconv.Itoa(number) == version:
		return Head{}, OtherSchema(number)
	default:
		return Head{}, Damaged("the head has no valid schema number")
	}
	count, err := strconv.ParseUint(rev, 10, 64)
	if err != nil || count == 0 || nonce == "" {
		return Head{}, Damaged("the head has no valid revision")
	}
	return Head{Exists: true, Revision: authz.Revision{Count: count, Nonce: nonce}}, nil
}

// OtherSchema is the error for facts that another build wrote.
func OtherSchema(found int) *authz.Error {
	if found < FirstSchema {
		return authz.Errorf(authz.Unavailable, "",
			"the facts of this organisation have schema %d and this build of Caregate knows schema %d; export them with the build that wrote them, "+
				"and import that with this one into a Redis, or under a name, that does not have them", found, Schema)
	}
	return authz.Errorf(authz.Unavailable, "",
		"the facts of this organisation have schema %d and this build of Caregate is too old for it: it knows schema %d; run a newer one",
		found, Schema)
}

// NoOrganisation is the error for an organisation that does not exist.
func NoOrganisation() *authz.Error {
	return authz.Errorf(authz.NotFound, "organisation", "there is no such organisation in this Redis; check the name, or import its facts")
}

// ReadHead looks at the head by way of a client.
func (s *Set) ReadHead(ctx context.Context, client redis.UniversalClient, organisation string) (Head, error) {
	reply, err := s.Read.RunRO(ctx, client, []string{HeadKey(organisation)}, Schemas).Slice()
	if err != nil {
		return Head{}, connect.Unavailable(ctx, err)
	}
	if len(reply) != 1 {
		return Head{}, Damaged("the reply has no head")
	}
	return HeadOf(reply[0])
}
