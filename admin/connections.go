package admin

import (
	"fmt"
	"net/http"

	"github.com/otelnet/agent/otelnet"
)

const (
	defaultRows = 100
	maxRows     = 10000
)

// connections answers /api/connections.
func (s *Server) connections(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	filter, err := otelnet.ParseFilter(query)
	if err != nil {
		badParameter(w, err)
		return
	}
	if len(filter.Match) > maxText {
		badParameter(w, fmt.Errorf("filter: %d bytes; at most %d are allowed", len(filter.Match), maxText))
		return
	}
	limit := filter.Limit
	if query.Get("limit") == "" {
		limit = defaultRows
	}
	if limit == 0 || limit > maxRows {
		if limit > maxRows {
			badParameter(w, fmt.Errorf("limit: %d; allowed are 0 to %d, and 0 means %d", limit, maxRows, maxRows))
			return
		}
		limit = maxRows
	}
	if s.cfg.Connections == nil {
		fail(w, http.StatusNotFound, "not_found", "this agent keeps no connection table")
		return
	}
	// Sorting looks at all rows anyway, so asking for all of them tells how many there are at little more cost.
	filter.Limit = 0
	rows := s.cfg.Connections(filter)
	total := len(rows)
	if rows = rows[:min(limit, total)]; rows == nil {
		rows = []otelnet.ConnInfo{}
	}
	respond(w, r, struct {
		Total       int                `json:"total"`
		Connections []otelnet.ConnInfo `json:"connections"`
	}{total, rows})
}
