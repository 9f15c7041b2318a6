package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelnet/agent/otelnet"
)

// transportScenario measures one request of a client, up to the end of the response, with no network.
func transportScenario() scenario {
	return scenario{
		name:     "transport",
		subjects: []string{bare, ours, otelHTTP, promHTTP},
		start:    startTransport,
		rows: []row{
			{label: "Client, one request", of: cpuTime, show: extraNanoseconds, best: true, goals: goals{ours: 1100}},
			{label: "Client, allocations", of: allocs, show: extraCount, goals: goals{ours: 4}},
		},
	}
}

func startTransport(subject string) (*work, error) {
	_, provider := newProvider()
	rt, err := instrumentedTransport(subject, provider)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodGet, "http://example.com/", http.NoBody)
	if err != nil {
		return nil, err
	}
	return &work{run: func(n int) error {
		for range n {
			resp, err := rt.RoundTrip(req)
			if err != nil {
				return err
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				return err
			}
			if err := resp.Body.Close(); err != nil {
				return err
			}
		}
		return nil
	}}, nil
}

func instrumentedTransport(subject string, provider metric.MeterProvider) (http.RoundTripper, error) {
	switch subject {
	case bare:
		return instantTransport{}, nil
	case ours:
		return otelnet.NewTransport(instantTransport{}, otelnet.WithMeterProvider(provider)), nil
	case otelHTTP:
		return otelhttp.NewTransport(instantTransport{}, otelhttp.WithMeterProvider(provider)), nil
	case promHTTP:
		return prometheusTransport(instantTransport{}), nil
	}
	return nil, fmt.Errorf("no transport %q", subject)
}

func prometheusTransport(next http.RoundTripper) http.RoundTripper {
	labels := []string{"code", "method"}
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_client_request_duration_seconds"}, labels)
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_client_requests_total"}, labels)
	active := prometheus.NewGauge(prometheus.GaugeOpts{Name: "http_client_requests_in_flight"})
	prometheus.NewRegistry().MustRegister(duration, requests, active)
	return promhttp.InstrumentRoundTripperInFlight(active,
		promhttp.InstrumentRoundTripperCounter(requests,
			promhttp.InstrumentRoundTripperDuration(duration, next)))
}

// instantTransport answers at once.
type instantTransport struct{}

func (instantTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: noHeader, Body: http.NoBody, Request: req,
	}, nil
}

var noHeader = http.Header{}
