package alertproc

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Source is where Run gets its snapshots: a *metric.PeriodicReader or *metric.ManualReader of the SDK is one.
type Source interface {
	Collect(ctx context.Context, rm *metricdata.ResourceMetrics) error
}

// Run collects from src and evaluates, at the shortest interval of any group, until ctx ends, whose error it returns.
// It is for services that have no tick of their own. Collections that fail and rules that fail go to otel.Handle, once
// for each new text. A collection is given up after the interval, or 5 s if that is longer.
func (p *Processor) Run(ctx context.Context, src Source) error {
	var rm metricdata.ResourceMetrics
	var reported string
	interval := p.shortestInterval()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		err := p.collectAndEvaluate(ctx, src, &rm, interval)
		if errors.Is(err, ErrShutdown) {
			return err
		}
		switch {
		case err == nil || ctx.Err() != nil:
			reported = ""
		case err.Error() != reported:
			reported = err.Error()
			otel.Handle(err)
		}
		if now := p.shortestInterval(); now != interval {
			interval = now
			ticker.Reset(interval)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (p *Processor) collectAndEvaluate(ctx context.Context, src Source, rm *metricdata.ResourceMetrics, interval time.Duration) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// The readers leave the last snapshot in rm if they fail early. Emptied, it is not taken for a new one, and its
	// memory is still used again.
	rm.ScopeMetrics = rm.ScopeMetrics[:0]
	collectCtx, cancel := context.WithTimeout(ctx, max(interval, 5*time.Second))
	err := src.Collect(collectCtx, rm)
	cancel()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && len(rm.ScopeMetrics) == 0 {
		return errors.Join(err, p.Evaluate(ctx, time.Now(), nil))
	}
	// With an error beside data, one callback failed and the other metrics are good.
	return errors.Join(err, p.Evaluate(ctx, time.Now(), rm))
}

func (p *Processor) shortestInterval() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	shortest := time.Duration(0)
	for _, g := range p.current.groups {
		if shortest == 0 || g.every < shortest {
			shortest = g.every
		}
	}
	if shortest == 0 {
		return DefaultInterval
	}
	return shortest
}
