// Package ruletest runs rule tests: series go in, the expected states come out. docs/alerting.md has the format.
package ruletest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	"go.yaml.in/yaml/v3"

	"github.com/otelnet/agent/alertproc"
)

// file is a rule-test file.
type file struct {
	Rules string     `yaml:"rules"`
	Tests []testCase `yaml:"tests"`
}

type testCase struct {
	Name   string        `yaml:"name"`
	Every  time.Duration `yaml:"every"`
	Series []*series     `yaml:"series"`
	Expect []expectation `yaml:"expect"`
}

type expectation struct {
	Alert  string            `yaml:"alert"`
	Labels map[string]string `yaml:"labels"`
	States string            `yaml:"states"`
}

// begin is when every test begins. Where a test begins makes no difference.
var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Run reads the test file at path and runs it. The error joins what did not come out as expected, or says why the file
// could not be used. n is the number of tests that were run.
func Run(path string) (n int, err error) {
	f, cfg, err := read(path)
	if err != nil {
		return 0, err
	}
	var errs []error
	for i, tc := range f.Tests {
		if tc.Name == "" {
			tc.Name = fmt.Sprintf("number %d", i+1)
		}
		for _, err := range tc.run(cfg) {
			errs = append(errs, fmt.Errorf("%s: test %s: %w", path, tc.Name, err))
		}
	}
	return len(f.Tests), errors.Join(errs...)
}

func read(path string) (f file, cfg alertproc.Config, err error) {
	in, err := os.Open(path)
	if err != nil {
		return f, cfg, err
	}
	defer in.Close()
	d := yaml.NewDecoder(in)
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil {
		return f, cfg, fmt.Errorf("%s: %s", path, strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: "), "\n", " "))
	}
	switch {
	case f.Rules == "":
		return f, cfg, fmt.Errorf("%s: the key rules names no file of rules", path)
	case len(f.Tests) == 0:
		return f, cfg, fmt.Errorf("%s: there is no test in it", path)
	}
	rules := f.Rules
	if !filepath.IsAbs(rules) {
		rules = filepath.Join(filepath.Dir(path), rules)
	}
	cfg, err = alertproc.LoadFile(rules)
	return f, cfg, err
}

func (tc *testCase) run(cfg alertproc.Config) (errs []error) {
	if tc.Every <= 0 {
		return []error{errors.New("every, the time between two collections, is missing")}
	}
	steps := 0
	for i, s := range tc.Series {
		if s == nil {
			return []error{fmt.Errorf("series %d is empty", i+1)}
		}
		if err := s.parse(); err != nil {
			return []error{fmt.Errorf("series %d (%s): %w", i+1, s.Metric, err)}
		}
		for j, other := range tc.Series[:i] {
			if s.Metric == other.Metric && maps.Equal(s.Attributes, other.Attributes) {
				return []error{fmt.Errorf("series %d (%s) is the same as series %d", i+1, s.Metric, j+1)}
			}
		}
		steps = max(steps, len(s.points))
	}
	if len(tc.Expect) == 0 {
		return []error{errors.New("it expects nothing")}
	}
	for _, e := range tc.Expect {
		if !hasRule(cfg, e.Alert) {
			return []error{fmt.Errorf("there is no rule %q", e.Alert)}
		}
		if len(strings.Fields(e.States)) == 0 {
			return []error{fmt.Errorf("%s: no states are expected", e.Alert)}
		}
		for _, word := range strings.Fields(e.States) {
			if !stateWords[word] {
				return []error{fmt.Errorf("%s: %q is no state; want -, pending, firing, warn or crit", e.Alert, word)}
			}
		}
		steps = max(steps, len(strings.Fields(e.States)))
	}
	cfg.Notify, cfg.StateFile, cfg.MeterProvider = nil, "", noop.NewMeterProvider()
	for _, g := range cfg.Groups { // a test may do without any of them
		for _, r := range g.Rules {
			cfg.Known = append(cfg.Known, r.Metric)
			if r.Ratio != nil {
				cfg.Known = append(cfg.Known, r.Ratio.Bad.Metric, r.Ratio.Total.Metric)
			}
		}
	}
	p, err := alertproc.New(cfg)
	if err != nil {
		return []error{err}
	}
	defer p.Shutdown(context.Background())
	got := make([][]string, len(tc.Expect))
	for step := range steps {
		at := begin.Add(time.Duration(step) * tc.Every)
		if err := p.Evaluate(context.Background(), at, snapshot(tc.Series, step)); err != nil {
			return []error{fmt.Errorf("at %s: %w", at.Sub(begin), err)}
		}
		alerts := p.Alerts()
		for i, e := range tc.Expect {
			got[i] = append(got[i], e.state(alerts))
		}
	}
	for i, e := range tc.Expect {
		if err := e.compare(got[i]); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

var stateWords = map[string]bool{"-": true, "pending": true, "firing": true, "warn": true, "crit": true}

func hasRule(cfg alertproc.Config, name string) bool {
	for _, g := range cfg.Groups {
		for _, r := range g.Rules {
			if r.Alert == name {
				return true
			}
		}
	}
	return false
}

// state is the word for the highest of the alerts that the expectation is about.
func (e *expectation) state(alerts []alertproc.Alert) string {
	word := "-"
	rank := map[string]int{"-": 0, "pending": 1, "warn": 2, "crit": 3}
	for _, a := range alerts {
		if a.Rule != e.Alert || !e.matches(a.Labels) {
			continue
		}
		w := "pending"
		if a.State == alertproc.StateFiring {
			w = a.Severity
		}
		if rank[w] > rank[word] {
			word = w
		}
	}
	return word
}

func (e *expectation) matches(labels map[string]string) bool {
	for k, v := range e.Labels {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// compare is nil if all states that are given came out. "firing" is either severity.
func (e *expectation) compare(got []string) error {
	want := strings.Fields(e.States)
	for i, w := range want {
		if g := got[i]; g != w && !(w == "firing" && (g == "warn" || g == "crit")) {
			name := e.Alert
			if len(e.Labels) > 0 {
				name += fmt.Sprint(" ", e.Labels)
			}
			return fmt.Errorf("%s is %s at step %d, want %s; all: %s", name, g, i, w, strings.Join(got, " "))
		}
	}
	return nil
}
