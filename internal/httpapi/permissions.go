package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/wire"
)

// permissionsByPath answers what a team member may do (P6), as a resource that
// clients keep and ask for again with If-None-Match.
func (a *API) permissionsByPath(x *exchange) error {
	member, one := x.param("team_member")
	if !one {
		return authz.Errorf(authz.NotFound, "", "there is no such path; write a / inside an id as %%2F, or ask by POST")
	}
	etag, stated, err := x.permissions(member)
	if err != nil {
		return err
	}
	x.state(stated)
	x.tagged(http.StatusOK, etag)
	return nil
}

// permissionsByBody answers the same for an id that has no business in a URL.
func (a *API) permissionsByBody(x *exchange) error {
	of, err := body[wire.PermissionsOf](x)
	if err != nil {
		return err
	}
	etag, stated, err := x.permissions(of.Member)
	if err != nil {
		return err
	}
	x.state(stated)
	x.tagged(http.StatusOK, etag)
	return nil
}

// permissions fills x.out with what member holds and returns its entity tag.
func (x *exchange) permissions(member string) (etag string, stated authz.Stated, err error) {
	fresh, err := x.freshness()
	if err != nil {
		return "", stated, err
	}
	grants, stated, err := x.api.cfg.Service.Permissions(x.ctx, x.organisation(), member, fresh)
	if err != nil {
		return "", stated, err
	}
	x.api.outages.answered()
	if err := x.encode(wire.Permissions{Member: member, Permissions: grants}); err != nil {
		return "", stated, err
	}
	h := sha256.New()
	h.Write(x.out)
	h.Write([]byte(stated.Policy))
	return `"` + hex.EncodeToString(h.Sum(nil)[:16]) + `"`, stated, nil
}

// matches reports whether If-None-Match names etag, by weak comparison (RFC
// 9110, sections 8.8.3.2 and 13.1.2). What is no entity tag ends the list.
func matches(header []string, etag string) bool {
	for _, list := range header {
		for list = strings.TrimLeft(list, " \t,"); list != ""; list = strings.TrimLeft(list, " \t,") {
			if list[0] == '*' {
				return true
			}
			list = strings.TrimPrefix(list, "W/")
			if list == "" || list[0] != '"' {
				break
			}
			end := strings.IndexByte(list[1:], '"')
			if end < 0 {
				break
			}
			if list[:end+2] == etag {
				return true
			}
			list = list[end+2:]
		}
	}
	return false
}
