package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"time"

	"go.opentelemetry.io/otel"
)

// Why a capture ends before its time.
var (
	errDeadline  = errors.New("the capture's time was over")
	errPreempted = errors.New("another capture was more urgent")
)

// run makes a capture. It is the only goroutine that does so: the one before has finished first.
func (c *Capturer) run(j *job) {
	defer j.cancel(nil)
	if j.after != nil {
		<-j.after
	}
	defer close(j.finished)
	begin := time.Now()
	r := recording{Capturer: c, job: j, left: c.share()}
	defer func() {
		if p := recover(); p != nil {
			otel.Handle(fmt.Errorf("capture: %s panicked: %v\n%s", j.id, p, debug.Stack()))
		}
		c.finish(j, time.Since(begin), r.broken)
	}()
	// Its own share in the profile it makes is told apart by this.
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("otelnet", "capture")))
	ctx, cancel := context.WithTimeoutCause(j.ctx, c.cfg.Deadline, errDeadline)
	defer cancel()
	c.pressure.begin()
	c.makeRoom(c.share())
	var lost bool
	if lost, r.broken = c.store.create(j.id); lost {
		c.forgetStored()
	}
	for kind := r.next(); kind != ""; kind = r.next() {
		r.record(ctx, kind)
	}
	r.refresh(ctx)
}

// share is what one capture may take up.
func (c *Capturer) share() int64 { return c.cfg.MaxBytes / 4 }

// recording is a capture with what is left of its means.
type recording struct {
	*Capturer
	*job
	left      int64     // bytes that it may still store
	broken    error     // why nothing can be stored
	metricsAt time.Time // when the metrics were taken
}

// next returns the kind to record now, "" when there is none left, and from then on none is added.
func (r *recording) next() Kind {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.find(r.id)
	for _, k := range order {
		if _, done := m.Artefact(k); r.wanted[k] && !done {
			return k
		}
	}
	r.closing = true
	return ""
}

// record records one kind, or two that take the same seconds.
func (r *recording) record(ctx context.Context, kind Kind) {
	switch {
	case r.broken != nil:
		r.put(Artefact{Kind: kind, Status: StatusFailed, Why: "the capture's directory could not be made: " + plainly(r.broken)})
	case ctx.Err() != nil:
		r.put(Artefact{Kind: kind, Status: StatusSkipped, Why: context.Cause(ctx).Error()})
	case kind == CPU || kind == Mutex:
		r.recordSeconds(ctx, kind)
	default:
		r.put(r.part(ctx, kind, r.fill(kind)))
	}
}

// errSkip is an error that says why something was not tried.
type errSkip string

func (e errSkip) Error() string { return string(e) }

// part stores what fill writes, and tells what became of it. A panic is its end and nobody else's.
func (r *recording) part(ctx context.Context, kind Kind, fill func(context.Context, io.Writer) error) Artefact {
	a := Artefact{Kind: kind, File: kind.File(), Status: StatusOK}
	begin := time.Now()
	var err error
	a.Size, err = r.store.write(ctx, r.id, a.File, r.left, func(w io.Writer) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panicked: %v", p)
				otel.Handle(fmt.Errorf("capture: %s panicked: %v\n%s", kind, p, debug.Stack()))
			}
		}()
		return fill(ctx, w)
	})
	a.Took = time.Since(begin)
	var skip errSkip
	switch {
	case errors.As(err, &skip):
		a.Status, a.Why = StatusSkipped, skip.Error()
	case err != nil:
		a.Status, a.Why = StatusFailed, plainly(err)
	}
	r.left -= a.Size
	return a
}

// put adds an artefact to the manifest, or replaces it, and stores the manifest: what a killed process leaves behind is
// described as far as it came.
func (r *recording) put(a Artefact) {
	a.File = a.Kind.File()
	r.mu.Lock()
	m := r.find(r.id)
	list := slices.Clone(m.Artefacts)
	if i := slices.IndexFunc(list, func(old Artefact) bool { return old.Kind == a.Kind }); i >= 0 {
		list[i] = a
	} else {
		list = append(list, a)
		sortArtefacts(list)
	}
	m.Artefacts = list
	r.mu.Unlock()
	if r.broken == nil {
		r.save(r.id)
	}
}

// sortArtefacts brings them into the order of recording.
func sortArtefacts(list []Artefact) {
	slices.SortFunc(list, func(a, b Artefact) int { return slices.Index(order, a.Kind) - slices.Index(order, b.Kind) })
}

// finish closes a capture.
func (c *Capturer) finish(j *job, took time.Duration, broken error) {
	c.mu.Lock()
	m := c.find(j.id)
	j.closing = true
	m.State, m.Took = StateDone, took
	complete := !slices.ContainsFunc(m.Artefacts, func(a Artefact) bool { return a.Status == StatusFailed })
	if c.running == j {
		c.running = nil
	}
	c.mu.Unlock()
	if broken == nil {
		c.save(j.id)
	}
	if complete {
		c.meters.count(j.request.Reason, outcomeCaptured)
	} else {
		c.meters.count(j.request.Reason, outcomeIncomplete)
	}
	c.makeRoom(0)
}

// save stores the manifest of id as it is now. Where that fails the one in memory is all there is.
func (c *Capturer) save(id string) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if m, ok := c.Manifest(id); ok {
		_ = c.store.writeManifest(m)
	}
}
