package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/otelnet/agent/admin"
	"github.com/otelnet/agent/otelnet"
)

// connections is a table of five rows that notes what it was asked for, and keeps to the limit.
func connections(asked *otelnet.Filter) func(otelnet.Filter) ([]otelnet.ConnInfo, int) {
	return func(f otelnet.Filter) ([]otelnet.ConnInfo, int) {
		if asked != nil {
			*asked = f
		}
		rows := make([]otelnet.ConnInfo, 5)
		for i := range rows {
			rows[i] = otelnet.ConnInfo{ID: uint64(i), Peer: "<script>", State: "idle", Opened: epoch}
		}
		if f.Limit > 0 {
			rows = rows[:min(f.Limit, 5)]
		}
		return rows, 5
	}
}

func TestConnections(t *testing.T) {
	var asked otelnet.Filter
	s := start(t, admin.Config{Connections: connections(&asked)})
	for path, want := range map[string]otelnet.Filter{
		"/api/connections": {Limit: 100},
		"/api/connections?sort=-sentBytes&limit=2&offset=3&filter=api&state=all": {State: "all", Match: "api", Sort: "-sentBytes", Limit: 2, Offset: 3},
		"/api/connections?limit=0": {Limit: 10000},
	} {
		get(t, s, path)
		if asked != want {
			t.Errorf("%s asked for %+v, want %+v", path, asked, want)
		}
	}
	var got struct {
		Total       int
		Connections []otelnet.ConnInfo
	}
	if err := json.Unmarshal([]byte(get(t, s, "/api/connections?limit=2").body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Total != 5 || len(got.Connections) != 2 || got.Connections[1].ID != 1 || got.Connections[0].Peer != "<script>" {
		t.Errorf("got %+v, want the first 2 of 5", got)
	}
	none := start(t, admin.Config{Connections: func(otelnet.Filter) ([]otelnet.ConnInfo, int) { return nil, 0 }})
	if res := get(t, none, "/api/connections"); res.body != `{"total":0,"connections":[]}` {
		t.Errorf("without connections: got %s", res.body)
	}
}

func TestOneConnection(t *testing.T) {
	s := start(t, admin.Config{Connections: connections(nil)})
	var got struct{ Connection otelnet.ConnInfo }
	if err := json.Unmarshal([]byte(get(t, s, "/api/connections/3").body), &got); err != nil || got.Connection.ID != 3 {
		t.Errorf("got %+v, %v; want connection 3", got, err)
	}
	direct := start(t, admin.Config{
		Connections: func(otelnet.Filter) ([]otelnet.ConnInfo, int) {
			t.Error("the whole table was asked for one row")
			return nil, 0
		},
		Connection: func(id uint64) (otelnet.ConnInfo, bool) { return otelnet.ConnInfo{ID: id}, id == 3 },
	})
	if err := json.Unmarshal([]byte(get(t, direct, "/api/connections/3").body), &got); err != nil || got.Connection.ID != 3 {
		t.Errorf("asked directly: got %+v, %v; want connection 3", got, err)
	}
	if res := get(t, direct, "/api/connections/4"); res.StatusCode != http.StatusNotFound {
		t.Errorf("asked directly for one that is not there: got %d, want 404", res.StatusCode)
	}
	for path, want := range map[string]string{
		"/api/connections/9":  "connection 9 is not in the table: only the last that closed are kept",
		"/api/connections/-1": `id: "-1" is not the number of a connection`,
	} {
		if got := get(t, s, path).failure(t); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestRequestsOfOneConnection(t *testing.T) {
	s := start(t, admin.Config{Requests: func(id uint64) (otelnet.RequestLog, error) {
		switch id {
		case 3:
			log := otelnet.RequestLog{Since: epoch, Total: 70, Requests: make([]otelnet.RequestInfo, 50)}
			log.Requests[0] = otelnet.RequestInfo{Start: epoch, Method: "GET", Route: "/<b>", Status: 200, DurationSeconds: 0.25}
			return log, nil
		case 4:
			return otelnet.RequestLog{}, fmt.Errorf("watch: %w", otelnet.ErrWatchedFull)
		}
		return otelnet.RequestLog{}, fmt.Errorf("watch: %w", otelnet.ErrNotOpen)
	}})
	for query, want := range map[string]int{"": 50, "?limit=50": 50, "?limit=1": 1} {
		var got otelnet.RequestLog
		if err := json.Unmarshal([]byte(get(t, s, "/api/connections/3/requests"+query).body), &got); err != nil {
			t.Fatal(err)
		}
		if got.Total != 70 || len(got.Requests) != want || got.Requests[0].Route != "/<b>" || !got.Since.Equal(epoch) {
			t.Errorf("%s: got %d of %d, first %+v; want %d of 70", query, len(got.Requests), got.Total, got.Requests[0], want)
		}
	}
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/api/connections/x/requests":          {400, `id: "x" is not the number of a connection`},
		"/api/connections/3/requests?limit=51": {400, `limit: "51" is not a whole number from 1 to 50`},
		"/api/connections/3/requests?limit=0":  {400, `limit: "0" is not`},
		"/api/connections/9/requests":          {404, "connection 9 is not open"},
		"/api/connections/4/requests":          {503, "64 connections are watched"},
	} {
		if res := get(t, s, path); res.StatusCode != want.status || !strings.Contains(res.failure(t), want.text) {
			t.Errorf("%s: got %d, %s; want %d, %s", path, res.StatusCode, res.failure(t), want.status, want.text)
		}
	}
	none := start(t, admin.Config{})
	if res := get(t, none, "/api/connections/3/requests"); res.StatusCode != http.StatusNotFound {
		t.Errorf("without requests: got %d, want 404", res.StatusCode)
	}
	foreign := do(t, s, http.MethodGet, "/api/connections/3/requests", func(r *http.Request) { r.Host = "evil.example" })
	if foreign.StatusCode != http.StatusForbidden {
		t.Errorf("under another host's name: got %d, want 403", foreign.StatusCode)
	}
}
