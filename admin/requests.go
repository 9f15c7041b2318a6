package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/otelnet/agent/otelnet"
)

// mostRequests is how many requests of a connection are kept at most.
const mostRequests = 50

// requests answers /api/connections/{id}/requests.
func (s *Server) requests(w http.ResponseWriter, r *http.Request) {
	id, ok := connectionID(w, r)
	if !ok {
		return
	}
	limit := mostRequests
	if text := r.URL.Query().Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > mostRequests {
			badParameter(w, fmt.Errorf("limit: %.40q is not a whole number from 1 to %d", text, mostRequests))
			return
		}
	}
	if s.cfg.Requests == nil {
		fail(w, http.StatusNotFound, "not_found", "this agent shows no single requests")
		return
	}
	log, err := s.cfg.Requests(id)
	switch {
	case errors.Is(err, otelnet.ErrNotOpen):
		fail(w, http.StatusNotFound, "not_found", fmt.Sprintf("connection %d is not open: only requests that end while somebody asks are kept", id))
		return
	case err != nil:
		fail(w, http.StatusServiceUnavailable, "unavailable", err.Error())
		return
	}
	log.Requests = log.Requests[:min(limit, len(log.Requests))]
	respond(w, r, log)
}
