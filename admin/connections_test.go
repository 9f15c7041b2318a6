package admin_test

import (
	"encoding/json"
	"testing"

	"github.com/otelnet/agent/admin"
	"github.com/otelnet/agent/otelnet"
)

// connections is a table of five rows that notes what it was asked for.
func connections(asked *otelnet.Filter) func(otelnet.Filter) []otelnet.ConnInfo {
	return func(f otelnet.Filter) []otelnet.ConnInfo {
		if asked != nil {
			*asked = f
		}
		rows := make([]otelnet.ConnInfo, 5)
		for i := range rows {
			rows[i] = otelnet.ConnInfo{ID: uint64(i), Peer: "<script>", State: "idle", Opened: epoch}
		}
		return rows
	}
}

func TestConnections(t *testing.T) {
	var asked otelnet.Filter
	s := start(t, admin.Config{Connections: connections(&asked)})
	res := get(t, s, "/api/connections?sort=-sentBytes&limit=2&filter=api&state=all")
	var got struct {
		Total       int
		Connections []otelnet.ConnInfo
	}
	if err := json.Unmarshal([]byte(res.body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Total != 5 || len(got.Connections) != 2 || got.Connections[1].ID != 1 || got.Connections[0].Peer != "<script>" {
		t.Errorf("got %+v, want the first 2 of 5", got)
	}
	if want := (otelnet.Filter{State: "all", Match: "api", Sort: "-sentBytes"}); asked != want {
		t.Errorf("asked for %+v, want %+v", asked, want)
	}
	none := start(t, admin.Config{Connections: func(otelnet.Filter) []otelnet.ConnInfo { return nil }})
	if res := get(t, none, "/api/connections"); res.body != `{"total":0,"connections":[]}` {
		t.Errorf("without connections: got %s", res.body)
	}
}
