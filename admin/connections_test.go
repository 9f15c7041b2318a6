package admin_test

import (
	"encoding/json"
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
	for path, want := range map[string]string{
		"/api/connections/9":  "connection 9 is not in the table: only the last that closed are kept",
		"/api/connections/-1": `id: "-1" is not the number of a connection`,
	} {
		if got := get(t, s, path).failure(t); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}
