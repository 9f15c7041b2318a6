package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

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
	if filter.Limit > maxRows {
		badParameter(w, fmt.Errorf("limit: %d; allowed are 0 to %d, and 0 means %d", filter.Limit, maxRows, maxRows))
		return
	}
	switch {
	case query.Get("limit") == "":
		filter.Limit = defaultRows
	case filter.Limit == 0:
		filter.Limit = maxRows
	}
	if !s.hasTable(w) {
		return
	}
	rows, total := s.cfg.Connections(filter)
	if rows == nil {
		rows = []otelnet.ConnInfo{}
	}
	body, err := json.Marshal(struct {
		Total       int                `json:"total"`
		Connections []otelnet.ConnInfo `json:"connections"`
	}{total, rows})
	if err != nil {
		fail(w, http.StatusInternalServerError, "internal", "encode the answer: "+err.Error())
		return
	}
	s.deliver(w, len(body), func() { send(w, r, body) })
}

// connection answers /api/connections/{id}.
func (s *Server) connection(w http.ResponseWriter, r *http.Request) {
	id, ok := connectionID(w, r)
	if !ok || !s.hasTable(w) {
		return
	}
	row, found := s.oneConnection(id)
	if !found {
		fail(w, http.StatusNotFound, "not_found", fmt.Sprintf("connection %d is not in the table: only the last that closed are kept", id))
		return
	}
	respond(w, r, map[string]any{"connection": &row})
}

func (s *Server) oneConnection(id uint64) (row otelnet.ConnInfo, found bool) {
	if s.cfg.Connection != nil {
		return s.cfg.Connection(id)
	}
	rows, _ := s.cfg.Connections(otelnet.Filter{State: "all"})
	for i := range rows {
		if rows[i].ID == id {
			return rows[i], true
		}
	}
	return row, false
}

// connectionID reads the number in the path; where it is none, the answer is given.
func connectionID(w http.ResponseWriter, r *http.Request) (id uint64, ok bool) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		badParameter(w, fmt.Errorf("id: %.40q is not the number of a connection", r.PathValue("id")))
	}
	return id, err == nil
}

func (s *Server) hasTable(w http.ResponseWriter) bool {
	if s.cfg.Connections == nil {
		fail(w, http.StatusNotFound, "not_found", "this agent keeps no connection table")
		return false
	}
	return true
}
