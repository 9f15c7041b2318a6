package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/otelnet/agent/internal/guard"
)

// Shutdown exports the last numbers, sends the notifications that are queued, closes the admin server and ends every
// goroutine of the agent. It is bounded by ctx, and by ten seconds where ctx has no deadline; the error says what could
// not be finished or delivered. A line in the log tells what it waits for after a second. Calling it again, or while it runs, waits
// within its own ctx for the same answer and does nothing else.
func (a *Agent) Shutdown(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	first := false
	a.shutdown.Do(func() { first = true })
	if first {
		a.shutdownErr = a.stop(ctx)
		close(a.ended)
		return a.shutdownErr
	}
	select {
	case <-a.ended:
		return a.shutdownErr
	case <-ctx.Done():
		select {
		case <-a.ended: // both were ready
			return a.shutdownErr
		default:
			return fmt.Errorf("agent: a shutdown that began before has not ended: %w", context.Cause(ctx))
		}
	}
}

func (a *Agent) stop(ctx context.Context) error {
	var errs []error
	if a.ticker != nil {
		errs = append(errs, a.ticker.stop(ctx))
	}
	// The parts have nothing to wait for in each other, so a receiver that hangs costs the last export no time.
	var parts []part
	if a.alerts != nil {
		parts = append(parts, part{"alert notifications", a.alerts.Shutdown})
	}
	if a.history != nil {
		parts = append(parts, part{"history", func(context.Context) error { return a.history.Save() }})
	}
	if a.captures != nil {
		parts = append(parts, part{"captures", a.captures.Shutdown})
	}
	if a.admin != nil {
		parts = append(parts, part{"admin server", a.admin.Shutdown})
	}
	if a.scrape != nil {
		parts = append(parts, part{"/metrics", a.scrape.shutdown})
	}
	if a.metrics != nil {
		parts = append(parts, part{"metrics", a.metrics.shutdown})
	}
	if a.tracer != nil {
		parts = append(parts, part{"traces", func(ctx context.Context) error {
			if kept := a.traceOut.spool; kept != nil {
				var cancel context.CancelFunc
				ctx, cancel = kept.release(ctx)
				defer cancel()
			}
			return errors.Join(a.tracer.Shutdown(ctx), a.traceOut.undelivered())
		}})
	}
	errs = append(errs, finish(ctx, a.config.log(), parts...))
	if a.runtime != nil {
		errs = append(errs, a.runtime.Stop()) // after the last export, which still wants its numbers
	}
	return errors.Join(errs...)
}

// part is something that takes time to end.
type part struct {
	name string
	end  func(context.Context) error
}

const (
	patience = time.Second            // that an end may take before a line tells what is waited for
	parting  = 500 * time.Millisecond // that those who heed the context may need to return
)

// finish ends all parts at the same time and waits for them, but not longer than ctx: a part that does not heed its
// context is left behind and named. It tells log, once, if that takes long.
func finish(ctx context.Context, log *slog.Logger, parts ...part) error {
	results := make([]chan error, len(parts))
	for i, p := range parts {
		results[i] = make(chan error, 1)
		go func() { results[i] <- guard.Call(p.name, func() error { return p.end(ctx) }) }()
	}
	slow := time.NewTimer(patience)
	defer slow.Stop()
	var errs []error
	for i, p := range parts {
		err := await(ctx, results[i], slow.C, func() {
			var names []string
			for j := i; j < len(parts); j++ { // those before have ended
				if len(results[j]) == 0 {
					names = append(names, parts[j].name)
				}
			}
			until, _ := ctx.Deadline()
			log.Info("otelnet: shutting down takes a moment", "waiting_for", strings.Join(names, ", "), "at_most", time.Until(until).Round(time.Second))
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("agent: shut down %s: %w", p.name, err))
		}
	}
	return errors.Join(errs...)
}

// await returns what comes from result, or ctx's error if that does not come in time. It calls tell when slow fires.
func await(ctx context.Context, result <-chan error, slow <-chan time.Time, tell func()) error {
	for {
		select {
		case err := <-result:
			return err
		case <-slow:
			tell()
		case <-ctx.Done():
			select {
			case err := <-result: // both were ready
				return err
			case <-time.After(parting):
				return context.Cause(ctx)
			}
		}
	}
}

// bounded gives ctx the default deadline if it has none.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, shutdownTimeout)
}
