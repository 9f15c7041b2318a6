package alertproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelnet/agent/internal/otlpjson"
)

// Replay evaluates rules on recorded metrics and returns what would have changed, in the order of time, so that a
// rule can be tried on yesterday's numbers. r has OTLP export requests in JSON, one a line, as the Collector's file
// exporter writes them. Nobody is notified, and no state file is read or written. Rules written in Go work too.
//
// The recording's times are the clock: an evaluation is made for each request, at the time of its newest point, if the
// group's interval has come. A live process evaluates at every tick, so an alert may come up to one export interval
// later here. Each resource in the recording is a process of its own. A request that is not newer than the one before
// it is passed over.
//
// The error names the line that is not such a request; the changes up to it are returned too. Errors of rules are
// joined, each once.
func Replay(cfg Config, r io.Reader) ([]Transition, error) {
	cfg.Notify, cfg.StateFile, cfg.MeterProvider = nil, "", noop.NewMeterProvider()
	if err := verify(cfg); err != nil {
		return nil, err
	}
	var changes []Transition
	var errs []error
	reported := map[string]bool{}
	processes := map[string]*Processor{}
	last := map[string]time.Time{}
	err := otlpjson.Read(r, func(s otlpjson.Snapshot) error {
		p := processes[s.Resource]
		if p == nil {
			var err error
			if p, err = New(cfg); err != nil {
				return err
			}
			p.Subscribe(func(t Transition) { changes = append(changes, t) })
			processes[s.Resource] = p
		}
		if !s.At.After(last[s.Resource]) {
			return nil
		}
		last[s.Resource] = s.At
		if err := p.Evaluate(context.Background(), s.At, s.Metrics); err != nil && !reported[err.Error()] {
			reported[err.Error()] = true
			errs = append(errs, fmt.Errorf("line %d: %w", s.Line, err))
		}
		return nil
	})
	for _, p := range processes {
		errs = append(errs, p.Shutdown(context.Background()))
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("alertproc: replay: %w", err))
	}
	slices.SortStableFunc(changes, func(a, b Transition) int { return a.At.Compare(b.At) })
	return changes, errors.Join(errs...)
}
