package browser

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	agent "github.com/otelnet/agent"
	"github.com/otelnet/agent/otelnet"
)

// markup is what would run a script if any text of a stranger's became part of the document.
const markup = `<img src=/x onerror="document.title='broken'">`

// The names stand in the table of connections, its drawer and the table of routes; the page shows them letter by letter.
func TestHostileNamesAreShownAsText(t *testing.T) {
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	a, err := agent.Start(t.Context(), agent.WithServiceName(markup), agent.WithAdminAddr("127.0.0.1:0"), agent.WithoutGlobals())
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, a.Shutdown)
	ln, err := otelnet.Listen("tcp", "127.0.0.1:0", otelnet.WithMeterProvider(a.MeterProvider()), otelnet.WithName(markup))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /"+markup+"/{rest...}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	server := &http.Server{Handler: otelnet.NewHandler(mux, "hostile", otelnet.WithMeterProvider(a.MeterProvider()))}
	otelnet.Instrument(server)
	go server.Serve(ln) //nolint:errcheck // ends with Shutdown
	defer stop(t, server.Shutdown)

	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	ask := func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+ln.Addr().String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Path = "/" + markup + "/x"
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusTeapot {
			t.Fatalf("GET %s: %s, want that the hostile route matches", req.URL, res.Status)
		}
	}
	ask()
	p := newTab(t, strings.TrimSuffix(a.AdminURL(), "/"))
	p.goTo("/")
	ask()
	p.until("the route is in the table", `document.querySelectorAll("#routes tbody tr").length === 1`)
	p.until("the connection is in the table", `document.querySelectorAll("#connections tbody tr").length === 1`)
	want(p, `document.querySelector("#routes tbody td").textContent`, "/"+markup+"/{rest...}")
	want(p, `document.querySelector("#connections tbody tr").cells[2].textContent`, markup)
	want(p, `document.getElementById("service").textContent`, markup)
	p.click("#connections tbody td .link")
	p.until("the drawer tells", `document.getElementById("drawer").textContent.includes("onerror")`)
	want(p, `document.querySelectorAll("img").length`, 0)
	want(p, `document.title.startsWith("<img")`, true)
}

func stop(t *testing.T, shutdown func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := shutdown(ctx); err != nil {
		t.Error(err)
	}
}
