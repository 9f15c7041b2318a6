package otelnet

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"
	"testing"

	"github.com/google/pprof/profile"
)

// labelsHere reads the labels of the running goroutine as a profile tells them: the runtime has no other way to ask.
func labelsHere(t *testing.T) map[string]string {
	t.Helper()
	var labelled map[string]string
	p := goroutines(t)
	for _, s := range p.Sample {
		for _, l := range s.Location {
			for _, line := range l.Line {
				if line.Function.Name == "github.com/otelnet/agent/otelnet.goroutines" {
					labelled = map[string]string{}
					for k, v := range s.Label {
						labelled[k] = v[0]
					}
				}
			}
		}
	}
	if labelled == nil {
		t.Error("the running goroutine is not in the profile")
	}
	return labelled
}

func goroutines(t *testing.T) *profile.Profile {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 0); err != nil {
		t.Error(err)
	}
	p, err := profile.ParseData(b.Bytes())
	if err != nil {
		t.Error(err)
	}
	return p
}

func TestProfileLabels(t *testing.T) {
	m := newMeter(t).option()
	var seen map[string]string
	show := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen = labelsHere(t) })
	mux := http.NewServeMux()
	mux.Handle("GET /items/{id}", show)
	inner := http.NewServeMux()
	inner.Handle("/users/{id}", show)
	outer := http.NewServeMux()
	outer.Handle("/api/", http.StripPrefix("/api", Routes(inner)))
	kept := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		NewHandler(mux, "kept", m, WithProfileLabels()).ServeHTTP(w, r.WithContext(pprof.WithLabels(r.Context(), pprof.Labels("tenant", "a"))))
	})
	for _, tt := range []struct {
		name, path string
		h          http.Handler
		want       string
	}{
		{"off", "/items/1", NewHandler(mux, "off", m), "map[]"},
		{"a mux", "/items/1", NewHandler(mux, "on", m, WithProfileLabels()), "map[http.route:/items/{id} otelnet.listener:shop]"},
		{"no mux", "/items/1", NewHandler(show, "on", m, WithProfileLabels()), "map[otelnet.listener:shop]"},
		{"a mux in a mux", "/api/users/1", NewHandler(outer, "on", m, WithProfileLabels()), "map[http.route:/api/users/{id} otelnet.listener:shop]"},
		{"labels of the service's own", "/items/1", kept, "map[http.route:/items/{id} otelnet.listener:shop tenant:a]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen = nil
			var after map[string]string
			around := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tt.h.ServeHTTP(w, r)
				after = labelsHere(t)
			})
			ln, err := Listen("tcp", "127.0.0.1:0", WithName("shop"), m)
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: around}
			Instrument(server)
			served := make(chan error, 1)
			go func() { served <- server.Serve(ln) }()
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			resp, err := client.Get("http://" + ln.Addr().String() + tt.path)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if err := server.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			<-served
			if got := fmt.Sprint(seen); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if len(after) != 0 && tt.name != "labels of the service's own" {
				t.Errorf("after the request the goroutine is still labelled %v", after)
			}
		})
	}
}

func TestProfileLabelsAllocateNothing(t *testing.T) {
	mux := http.NewServeMux()
	m := newMeter(t).option()
	mux.HandleFunc("/items", func(http.ResponseWriter, *http.Request) {})
	r := httptest.NewRequest("GET", "/items", nil)
	w := &plainWriter{header: http.Header{}}
	defer pprof.SetGoroutineLabels(context.Background())
	allocs := func(h http.Handler) float64 { return testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }) }
	off, on := allocs(NewHandler(mux, "off", m)), allocs(NewHandler(mux, "on", m, WithProfileLabels()))
	if on > off {
		t.Errorf("%.0f allocations with labels, %.0f without; want no more", on, off)
	}
}
