package directory

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// The records as they stand on a line. The order of the fields is the order in
// which they are written.
type (
	permissionsLine struct {
		Kind        authz.Kind `json:"kind"`
		ID          string     `json:"id"`
		Name        string     `json:"name,omitzero"`
		Permissions []string   `json:"permissions"`
	}
	patientGroupLine struct {
		Kind authz.Kind `json:"kind"`
		ID   string     `json:"id"`
		Name string     `json:"name,omitzero"`
	}
	teamMemberLine struct {
		Kind     authz.Kind `json:"kind"`
		ID       string     `json:"id"`
		Name     string     `json:"name,omitzero"`
		Role     string     `json:"role,omitzero"`
		Groups   []string   `json:"groups,omitempty"`
		Provider bool       `json:"provider,omitzero"`
		Access   []string   `json:"access,omitempty"`
		Booking  []string   `json:"booking,omitempty"`
	}
	patientLine struct {
		Kind         authz.Kind `json:"kind"`
		ID           string     `json:"id"`
		PatientGroup string     `json:"patient_group"`
		CareTeam     []string   `json:"care_team,omitempty"`
	}
	bookingLine struct {
		Kind     authz.Kind  `json:"kind"`
		ID       string      `json:"id"`
		Patient  string      `json:"patient"`
		Provider string      `json:"provider"`
		State    admin.State `json:"state"`
	}
)

// appendLine appends a record as one line of JSON with its newline. Equal records
// give equal bytes if their lists are in the same order.
func appendLine(b []byte, r *admin.Record) ([]byte, error) {
	var line any
	switch r.Kind {
	case authz.KindRole, authz.KindGroup:
		line = permissionsLine{r.Kind, r.ID, r.Name, r.Permissions}
	case authz.KindPatientGroup:
		line = patientGroupLine{r.Kind, r.ID, r.Name}
	case authz.KindTeamMember:
		line = teamMemberLine{r.Kind, r.ID, r.Name, r.Role, r.Groups, r.IsProvider, r.Access, r.Booking}
	case authz.KindPatient:
		line = patientLine{r.Kind, r.ID, r.PatientGroup, r.CareTeam}
	case authz.KindBooking:
		line = bookingLine{r.Kind, r.ID, r.Patient, r.Provider, r.State}
	default:
		return nil, admin.UnknownKind("kind", r.Kind)
	}
	out := bytes.NewBuffer(b)
	if err := json.MarshalWrite(out, line); err != nil {
		return nil, fmt.Errorf("write a record of kind %s: %w", r.Kind, err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}
