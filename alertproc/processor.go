package alertproc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// ErrShutdown is wrapped by the errors of Evaluate and Reload after Shutdown.
var ErrShutdown = errors.New("the processor is shut down")

// Processor evaluates the rules of a Config on snapshots of metrics, keeps the state of their alerts, and tells the
// notifiers. Its methods may be called concurrently.
type Processor struct {
	base   Config // the run-time fields that New was given
	meters *meters

	// evalMu is held during an evaluation or a reload, also while rules' functions run. It comes before mu.
	evalMu sync.Mutex
	engine *engine
	epoch  time.Time // the first evaluation
	last   time.Time // the latest one
	begun  bool
	worse  []worsening // of the evaluation that runs

	// mu guards the state of alerts, what the engine's rules have below their line, and senders.
	mu      sync.Mutex
	senders []*sender
	current *engine // same as engine, for readers

	subs subscribers
	file *stateFile // nil without Config.StateFile
	kept time.Time  // when the state was last handed to it
	down atomic.Bool

	// delivering ends when the senders must give up; running counts their goroutines, also of those that a reload
	// has replaced.
	delivering context.Context
	giveUp     context.CancelFunc
	running    sync.WaitGroup
	closeOnce  sync.Once
	fileOnce   sync.Once
	drained    chan struct{}
}

// New checks cfg and makes a Processor of it. Every mistake in cfg is in the error, joined. The notifiers' goroutines
// start at once; Shutdown ends them.
func New(cfg Config) (*Processor, error) {
	if err := verify(cfg); err != nil {
		return nil, err
	}
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = otel.GetMeterProvider()
	}
	p := &Processor{base: cfg, drained: make(chan struct{})}
	p.engine = newEngine(cfg, &p.mu)
	p.current = p.engine
	var err error
	if p.meters, err = newMeters(cfg.MeterProvider, p.observeStates); err != nil {
		return nil, fmt.Errorf("alertproc: create instruments: %w", err)
	}
	if cfg.StateFile != "" {
		saved, err := readState(cfg.StateFile)
		if err != nil {
			otel.Handle(fmt.Errorf("alertproc: state file: %w", err))
		}
		if saved != nil {
			p.engine.restore(saved)
		}
		p.file = startStateFile(cfg.StateFile)
	}
	p.delivering, p.giveUp = context.WithCancel(context.Background())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.senders = p.startSenders(cfg.Notify)
	return p, nil
}

// verify returns the mistakes of cfg as one error.
func verify(cfg Config) error {
	problems := check(cfg)
	if len(problems) == 0 {
		return nil
	}
	if cfg.positions != nil {
		mistakes := make([]mistake, 0, len(problems))
		for _, p := range problems {
			mistakes = append(mistakes, mistake{cfg.positions.lineOf(p.path), p.text})
		}
		return cfg.positions.join(mistakes)
	}
	errs := make([]error, 0, len(problems))
	for _, p := range problems {
		if p.path == "" {
			errs = append(errs, errors.New(p.text))
		} else {
			errs = append(errs, fmt.Errorf("%s: %s", p.path, p.text))
		}
	}
	return fmt.Errorf("alertproc: %w", errors.Join(errs...))
}

// Evaluate takes in one snapshot and evaluates the groups whose interval has come. All decisions take their time from
// at and none from the wall clock, so the same snapshots at the same times give the same alerts. rm is only read, and
// not kept.
//
// The first snapshot is where windows begin: what counters counted before it is nobody's increase. Evaluate once when
// the service starts, and nothing after it is missed. A nil rm says that the metrics could not be collected: nothing
// changes state and the clocks of pending alerts stand still, but firing alerts are repeated to their notifiers.
//
// The error joins those of single rules, each with the rule's name; the others were evaluated all the same. It wraps
// ErrShutdown after Shutdown. If at is not after the last evaluation's, nothing is done and the error says so; times
// from time.Now are compared on the monotonic clock, so a step of the wall clock does no harm.
//
// Evaluate never waits for notifiers. Subscribers are called before it returns. Steady state costs no allocation.
func (p *Processor) Evaluate(ctx context.Context, at time.Time, rm *metricdata.ResourceMetrics) error {
	changes, warnings, err := p.evaluate(ctx, at, rm)
	for _, w := range warnings {
		otel.Handle(w)
	}
	p.subs.tell(changes)
	return err
}

func (p *Processor) evaluate(
	ctx context.Context, at time.Time, rm *metricdata.ResourceMetrics,
) (changes []Transition, warnings []error, err error) {
	p.evalMu.Lock()
	defer p.evalMu.Unlock()
	defer func() {
		// What goes wrong here must not take the service down that is watched.
		if r := recover(); r != nil {
			err = fmt.Errorf("alertproc: evaluate: panicked: %v", r)
		}
	}()
	if p.down.Load() {
		return nil, nil, fmt.Errorf("alertproc: evaluate: %w", ErrShutdown)
	}
	if !p.begun {
		p.begun, p.epoch = true, at
	} else if !at.After(p.last) {
		return nil, nil, fmt.Errorf("alertproc: evaluate: %s is not after the last evaluation at %s",
			at.Format(time.RFC3339Nano), p.last.Format(time.RFC3339Nano))
	}
	p.last = at
	now := int64(at.Sub(p.epoch))
	e := p.engine
	if rm != nil {
		e.ingest(rm)
		warnings = e.warnings(rm, now)
	}
	if !e.schedule(now) {
		p.release(e, at)
		return nil, warnings, nil
	}
	var errs []error
	p.worse = p.worse[:0]
	for _, g := range e.groups {
		if !g.due {
			continue
		}
		g.skip(at)
		for _, r := range g.rules {
			begin := time.Now()
			e.measure(ctx, r, rm, now)
			changes = p.apply(r, at, begin, changes)
			if r.failure != nil && !g.own { // the other rules have said it already
				errs = append(errs, fmt.Errorf("alertproc: rule %q: %w", r.Alert, r.failure))
			}
		}
		g.last = at
	}
	p.gather(changes)
	if p.file != nil && (len(changes) > 0 || at.Sub(p.kept) >= keepEvery) {
		p.keep(at)
	}
	p.send(e, at, changes)
	p.sweep(at, now)
	return changes, warnings, errors.Join(errs...)
}

// keepEvery is how old the state file may get when no alert changes: clocks that stand still and error budgets go on.
const keepEvery = time.Minute

// keep hands the present state to the file.
func (p *Processor) keep(at time.Time) {
	p.mu.Lock()
	s := p.engine.save(at, int64(at.Sub(p.epoch)))
	p.mu.Unlock()
	p.kept = at
	p.file.put(s)
}

func (p *Processor) sweep(at time.Time, now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.engine.sweep(at, now)
}

// apply moves the state of the rule's instances by their new readings.
func (p *Processor) apply(r *rule, at, begin time.Time, changes []Transition) []Transition {
	elapsed := time.Duration(0)
	if !r.group.last.IsZero() {
		elapsed = at.Sub(r.group.last)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r.active = nil
	for _, inst := range r.order {
		if t, changed := r.step(inst, at, elapsed); changed {
			inst.state.remember(t)
			changes = append(changes, t)
			if t.wantsEvidence() {
				p.worse = append(p.worse, worsening{len(changes) - 1, inst})
			}
		}
	}
	var unknown [2]bool
	for part, in := range r.asks {
		unknown[part] = in != nil && !in.seen
	}
	r.status = ruleHealth{unknown: unknown, err: r.failure, at: at, took: time.Since(begin), skipped: len(r.skipped), seen: len(r.order) > 0}
	return changes
}

// Alerts returns the pending and firing alerts, in the order of the rules and of their instances' first appearance.
func (p *Processor) Alerts() []Alert {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Alert
	for _, r := range p.current.rules {
		all = r.alerts(all)
	}
	return all
}

func (r *rule) alerts(all []Alert) []Alert {
	for _, inst := range r.order {
		if state, _ := inst.state.shown(); state != StateInactive {
			all = append(all, r.alert(inst))
		}
	}
	return all
}

// Rules returns all rules with how they stand after the last evaluation, in the order of the Config.
func (p *Processor) Rules() []GroupStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	groups := make([]GroupStatus, 0, len(p.current.groups))
	for _, g := range p.current.groups {
		if g.hidden() {
			continue
		}
		status := GroupStatus{Name: g.name, File: g.file, Interval: g.every, Rules: make([]RuleStatus, 0, len(g.rules))}
		for _, r := range g.rules {
			status.Rules = append(status.Rules, r.report())
		}
		groups = append(groups, status)
	}
	return groups
}

func (r *rule) report() RuleStatus {
	s := RuleStatus{
		Name: r.Alert, Query: r.text, For: r.For, KeepFiringFor: r.KeepFiringFor,
		Labels: maps.Clone(r.Labels), Annotations: maps.Clone(r.Annotations), Health: "unknown",
		LastEvaluation: r.status.at.Round(0), EvaluationTime: r.status.took, Skipped: r.status.skipped,
		Alerts: r.alerts(nil),
	}
	switch {
	case r.status.err != nil:
		s.Health, s.LastError = "err", r.status.err.Error()
	case r.status.seen:
		s.Health = "ok"
	}
	for part, unknown := range r.status.unknown {
		if in := r.asks[part]; unknown && in != nil && !slices.Contains(s.Unknown, in.name) {
			s.Unknown = append(s.Unknown, in.name)
		}
	}
	if s.Health == "unknown" && len(s.Unknown) > 0 {
		s.LastError = "unknown metric, in no snapshot yet: " + strings.Join(s.Unknown, ", ")
	}
	for _, a := range s.Alerts {
		s.State = max(s.State, a.State)
	}
	return s
}
