package main

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/caregate/caregate/internal/authz"
)

// wireRequest is an AuthZEN evaluation as encoding/json reads it.
type wireRequest struct {
	Subject wireEntity `json:"subject"`
	Action  struct {
		Name       string         `json:"name"`
		Properties map[string]any `json:"properties,omitempty"`
	} `json:"action"`
	Resource wireEntity     `json:"resource"`
	Context  map[string]any `json:"context,omitempty"`
}

type wireEntity struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Properties map[string]any `json:"properties,omitempty"`
}

// wireResponse is its answer as encoding/json writes it.
type wireResponse struct {
	Decision bool    `json:"decision"`
	Context  account `json:"context"`
}

// bareHandler is Echo with its own middleware for the same duties, and a handler
// that decodes and encodes the same JSON and decides nothing. What it answers is
// about as large as what Caregate does.
func bareHandler() http.Handler {
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	e.Use(middleware.Recover(), middleware.RequestID(), middleware.BodyLimit("1M"), middleware.ContextTimeout(time.Second))
	e.POST("/access/v1/evaluation", func(c echo.Context) error {
		var r wireRequest
		if err := json.NewDecoder(c.Request().Body).Decode(&r); err != nil {
			return echo.NewHTTPError(http.StatusBadRequest, err.Error())
		}
		return c.JSON(http.StatusOK, bareAnswer(&r))
	})
	return e
}

// bareAnswer looks like an answer to r.
func bareAnswer(r *wireRequest) wireResponse {
	var w wireResponse
	if r.Subject.Type == string(authz.KindPatient) {
		w.Context.Reasons = []string{"provider_not_bookable"}
		return w
	}
	w.Context.Permission = r.Resource.Type + ":" + r.Action.Name
	if r.Action.Name == "delete" {
		w.Context.Reasons = []string{"permission_missing"}
		return w
	}
	w.Decision = true
	w.Context.GrantedBy = &authz.Grant{Groups: []string{"group-07"}}
	w.Context.Reasons = []string{"patient_visible", "permission_granted"}
	if r.Resource.Type == string(authz.KindPatient) {
		w.Context.GrantedBy.Role = "practitioner"
		w.Context.Routes = []string{"patient_group_access"}
	}
	return w
}
