package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelnet/agent/otelnet"
)

// handlerScenario measures one request through a route of http.ServeMux, with no network.
func handlerScenario() scenario {
	return scenario{
		name:     "handler",
		subjects: []string{bare, ours, oursRoutes, otelHTTP, promHTTP},
		start:    startHandler,
		rows: []row{
			{label: "Server, one request", of: cpuTime, show: extraNanoseconds, best: true, goals: goals{ours: 1000, oursRoutes: 1600}},
			{label: "Server, allocations", of: allocs, show: extraCount, goals: goals{ours: 2, oursRoutes: 4}},
		},
	}
}

// joinScenario isolates what is added to a request that is joined to its connection.
func joinScenario() scenario {
	return scenario{
		name:     "join",
		subjects: []string{ours, oursJoined},
		start:    startHandler,
		rows: []row{
			{label: "Server, joining a request to its connection", of: cpuTime, show: extraNanoseconds, best: true, goals: goals{oursJoined: 20}},
			{label: "Server, joining, allocations", of: allocs, show: extraCount, goals: goals{oursJoined: 0}},
		},
	}
}

func startHandler(subject string) (*work, error) {
	_, provider := newProvider()
	h, err := instrumentedHandler(subject, provider)
	if err != nil {
		return nil, err
	}
	r := httptest.NewRequest("GET", "/items/1", nil)
	if subject == oursJoined {
		if r, err = joined(r, provider); err != nil {
			return nil, err
		}
	}
	w := &discardWriter{header: http.Header{}}
	return &work{run: func(n int) error {
		for range n {
			h.ServeHTTP(w, r)
		}
		if w.status != http.StatusOK {
			return fmt.Errorf("the handler answered %d", w.status)
		}
		return nil
	}}, nil
}

// body is what every handler here answers.
const body = "hello, world\n"

// instrumentedHandler is a mux with the subject around it.
func instrumentedHandler(subject string, provider metric.MeterProvider) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	switch subject {
	case bare:
		return mux, nil
	case ours, oursJoined:
		return otelnet.NewHandler(mux, "bench", otelnet.WithMeterProvider(provider)), nil
	case oursRoutes:
		return otelnet.NewHandler(otelnet.Routes(mux), "bench", otelnet.WithMeterProvider(provider)), nil
	case otelHTTP:
		return otelhttp.NewHandler(mux, "bench", otelhttp.WithMeterProvider(provider)), nil
	case promHTTP:
		return prometheusHandler(mux), nil
	}
	return nil, fmt.Errorf("no handler %q", subject)
}

// prometheusHandler records what most services with client_golang record.
func prometheusHandler(next http.Handler) http.Handler {
	labels := []string{"code", "method"}
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds"}, labels)
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total"}, labels)
	active := prometheus.NewGauge(prometheus.GaugeOpts{Name: "http_requests_in_flight"})
	prometheus.NewRegistry().MustRegister(duration, requests, active)
	return promhttp.InstrumentHandlerInFlight(active,
		promhttp.InstrumentHandlerCounter(requests,
			promhttp.InstrumentHandlerDuration(duration, next)))
}

// joined returns r as it comes from a server that joins requests to connections.
func joined(r *http.Request, provider metric.MeterProvider) (*http.Request, error) {
	ln, err := otelnet.NewListener(memoryListener{}, otelnet.WithMeterProvider(provider), otelnet.WithName("bench"))
	if err != nil {
		return nil, err
	}
	c, err := ln.Accept()
	if err != nil {
		return nil, err
	}
	srv := &http.Server{}
	otelnet.Instrument(srv)
	return r.WithContext(srv.ConnContext(context.Background(), c)), nil
}

// discardWriter can do what the writer of net/http's HTTP/1 server can, as the wrappers around it depend on that.
type discardWriter struct {
	header http.Header
	status int
}

var errNotHere = errors.New("not in a benchmark")

func (w *discardWriter) Header() http.Header                 { return w.header }
func (w *discardWriter) WriteHeader(status int)              { w.status = status }
func (w *discardWriter) Flush()                              {}
func (w *discardWriter) CloseNotify() <-chan bool            { return nil }
func (w *discardWriter) ReadFrom(r io.Reader) (int64, error) { return 0, errNotHere }

func (w *discardWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, errNotHere }

func (w *discardWriter) Write(b []byte) (int, error) {
	w.status = http.StatusOK
	return len(b), nil
}

func (w *discardWriter) WriteString(s string) (int, error) {
	w.status = http.StatusOK
	return len(s), nil
}
