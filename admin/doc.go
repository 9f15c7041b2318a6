// Package admin is the agent's HTTP face: a live page, JSON answers for programs, alerts and rules as Prometheus' API gives them,
// and profiles, on a port of its own that is loopback unless a token is set.
//
//	srv, err := admin.New(admin.Config{Addr: "127.0.0.1:6060", History: store})
//	…
//	err = srv.Start() // a taken port is an error here
//	defer srv.Shutdown(ctx)
//
// Paths, their parameters and example answers are in docs/api.md:
//
//	/                       the live page
//	/api/status             what runs here and what the history holds
//	/api/history            columns over time
//	/api/stream             the same, one event for each snapshot (server-sent events)
//	/api/connections        the connection table
//	/report                 a stretch of time on one page, as HTML, text, JSON or CSV
//	/captures/              captures: what was recorded when alerts fired, and what profiles and traces show; /api/captures the same
//	/api/v1/alerts, /rules  alerts and rules in Prometheus' format
//	/debug/pprof/           profiles and execution traces; nothing is registered on http.DefaultServeMux
//	/metrics                where configured
//	/healthz                "ok"
//
// # Safety
//
// A page on a loopback port can be reached by any web site that the developer visits, so each request is checked: the Host must be
// one of ours (DNS rebinding), a request that a browser makes for another site is refused unless it is plain navigation, and
// methods that change something must come from the same origin. Answers carry a content security policy without inline script.
// Any address but loopback needs [Config].Token.
//
// # Cost
//
// Nothing runs while nobody looks. Each snapshot is encoded once for all viewers; a viewer holds a cursor. At most 64 viewers
// are served; one that takes longer than 5 s to accept an event is dropped.
package admin
