package main

import (
	"math"
	"os"
	"testing"
)

// TestMain lets the test binary be its own worker, as the program is.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-worker" {
		if err := serve(os.Args[2]); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestEverySubject lets every subject of every scenario do a few operations in a process of its own.
func TestEverySubject(t *testing.T) {
	env, err := newEnvironment(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer env.close()
	names := map[string]bool{}
	for _, g := range groups() {
		for _, s := range g.scenarios {
			if names[s.name] {
				t.Errorf("two scenarios are called %q", s.name)
			}
			names[s.name] = true
			for _, subject := range s.subjects {
				t.Run(s.name+"/"+subject, func(t *testing.T) {
					w, err := env.worker(s, subject)
					if err != nil {
						t.Fatal(err)
					}
					defer w.stop()
					const few = 10
					v, err := w.round(s, few)
					if err != nil {
						t.Fatal(err)
					}
					if v[wallTime] <= 0 {
						t.Errorf("wall time: got %v, want more than 0", v[wallTime])
					}
					for _, r := range s.rows {
						if r.of == took && subject == bare {
							continue // it makes no capture
						}
						if x, ok := v[r.of]; !ok || x < 0 || math.IsNaN(x) {
							t.Errorf("%s: got %v, want a number", r.of, x)
						}
					}
					if n, ok := v[series]; ok && n < 5 {
						t.Errorf("series: got %v, want 5 at least", n)
					}
					if m, ok := v[memory]; ok && m < 100 {
						t.Errorf("memory: got %v bytes for each connection, want 100 at least: an open socket costs more", m)
					}
				})
			}
		}
	}
}

// A subject that cannot be set up must not pass for one that costs nothing.
func TestUnknownSubject(t *testing.T) {
	env, err := newEnvironment(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer env.close()
	for _, s := range []scenario{acceptScenario(), handlerScenario(), transportScenario(), serverScenario(), runtimeScenario()} {
		if w, err := env.worker(s, "nobody"); err == nil {
			w.stop()
			t.Errorf("%s: got a worker for a subject that does not exist, want an error", s.name)
		}
	}
	if w, err := env.worker(scenario{name: "nothing"}, bare); err == nil {
		w.stop()
		t.Error("got a worker for a scenario that does not exist, want an error")
	}
}
