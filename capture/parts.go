package capture

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/otelnet/agent/history"
	"github.com/otelnet/agent/otelnet"
)

const (
	// maxRows is how many connections are taken by each of two views: those with a request in them, and all.
	maxRows = 3000
	// metricStep is the resolution of the metrics.
	metricStep = 5 * time.Second
	// refreshAfter is how long a capture must have taken for its metrics to be taken again, with what came meanwhile.
	refreshAfter = time.Second
	// fewGoroutines is how many a capture by the clock profiles at most.
	fewGoroutines = 10_000
)

// fill returns what writes a kind.
func (r *recording) fill(kind Kind) func(context.Context, io.Writer) error {
	switch kind {
	case Connections:
		return r.writeConnections
	case Metrics:
		r.metricsAt = time.Now()
		return r.writeMetrics
	case Trace:
		return r.writeTrace
	case Goroutine:
		return r.writeGoroutines
	case Heap:
		return r.writeHeap
	default:
		return r.writeGoroutineLeaks
	}
}

// writeConnections writes the table: first the connections with a request in them, the longest silent one at the top,
// then the others in the same order, the closed ones last.
func (r *recording) writeConnections(_ context.Context, w io.Writer) error {
	if r.cfg.Connections == nil {
		return errSkip("there is no connection table")
	}
	rows, _ := r.cfg.Connections(otelnet.Filter{State: "active", Sort: "-idleSeconds", Limit: maxRows})
	all, total := r.cfg.Connections(otelnet.Filter{State: "all", Sort: "-idleSeconds", Limit: maxRows})
	seen := make(map[uint64]bool, len(rows))
	for i := range rows {
		seen[rows[i].ID] = true
	}
	rows = slices.Clip(rows)
	for i := range all {
		if !seen[all[i].ID] {
			rows = append(rows, all[i])
		}
	}
	rank := func(c *otelnet.ConnInfo) int {
		switch {
		case c.State == "closed":
			return 2
		case c.State == "active" && c.Transport != "udp": // whose socket is always active, and is no connection
			return 0
		default:
			return 1
		}
	}
	slices.SortStableFunc(rows, func(a, b otelnet.ConnInfo) int {
		return cmp.Or(rank(&a)-rank(&b), cmp.Compare(b.IdleSeconds, a.IdleSeconds))
	})
	if rows == nil {
		rows = []otelnet.ConnInfo{}
	}
	out := bufio.NewWriterSize(w, 64<<10)
	err := json.NewEncoder(out).Encode(struct {
		At          time.Time          `json:"at"`
		Total       int                `json:"total"`
		Connections []otelnet.ConnInfo `json:"connections"`
	}{time.Now().UTC(), total, rows})
	return errors.Join(err, out.Flush())
}

// writeMetrics writes the window of the history. If it is too large with the buckets of histograms, it goes without.
func (r *recording) writeMetrics(_ context.Context, w io.Writer) error {
	if r.cfg.History == nil {
		return errSkip("there is no history of metrics")
	}
	now := time.Now()
	result := r.cfg.History.Query(history.Query{Since: now.Add(-DefaultMetricWindow), Step: metricStep})
	body := result.AppendJSON(nil)
	if int64(len(body)) > r.left/2 {
		for i := range result.Series {
			result.Series[i].Buckets, result.Series[i].Bounds = nil, nil
		}
		body = result.AppendJSON(body[:0])
	}
	_, err := w.Write(append(body, '\n'))
	return err
}

// refresh takes the metrics again at the end of a capture that lasted, so that they show what came after the alert.
func (r *recording) refresh(ctx context.Context) {
	m, _ := r.Manifest(r.id)
	old, ok := m.Artefact(Metrics)
	if !ok || old.Status != StatusOK || time.Since(r.metricsAt) < refreshAfter || ctx.Err() != nil {
		return
	}
	r.left += old.Size
	a := r.part(ctx, Metrics, r.writeMetrics)
	if a.Status != StatusOK {
		r.left -= old.Size
		return // the first one is still there
	}
	a.Took += old.Took
	r.put(a)
}

func (r *recording) writeTrace(_ context.Context, w io.Writer) error {
	err := r.recorder.write(w)
	if errors.Is(err, errRecorderOff) {
		return errSkip(err.Error())
	}
	return err
}

func (r *recording) writeGoroutines(_ context.Context, w io.Writer) error {
	limit := r.cfg.MaxGoroutines
	if r.request.Reason == Continuous {
		limit = min(limit, fewGoroutines)
	}
	if n := runtime.NumGoroutine(); n > limit {
		return errSkip(fmt.Sprintf("there are %d goroutines; a profile is made of up to %d", n, limit))
	}
	return pprof.Lookup("goroutine").WriteTo(w, 0) // the other forms stop the process for long
}

func (r *recording) writeHeap(_ context.Context, w io.Writer) error {
	if runtime.MemProfileRate <= 0 {
		return errSkip("the service takes no samples of what it allocates: runtime.MemProfileRate is 0")
	}
	if why := r.pressure.memory(); why != "" && !r.forced() {
		return errSkip(why)
	}
	return pprof.Lookup("heap").WriteTo(w, 0)
}

func (r *recording) writeGoroutineLeaks(_ context.Context, w io.Writer) error {
	p := pprof.Lookup("goroutineleak")
	if p == nil {
		return errSkip("this Go runtime has no such profile: it comes with GOEXPERIMENT=goroutineleakprofile, and with Go 1.27")
	}
	if why := r.pressure.memory(); why != "" && !r.forced() {
		return errSkip(why) // it runs a garbage collection
	}
	if n := runtime.NumGoroutine(); n > r.cfg.MaxGoroutines {
		return errSkip(fmt.Sprintf("there are %d goroutines; a profile is made of up to %d", n, r.cfg.MaxGoroutines))
	}
	return p.WriteTo(w, 0)
}

func (r *recording) forced() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.request.Force
}

// recordSeconds records what runs and what waits over the same seconds.
func (r *recording) recordSeconds(ctx context.Context, kind Kind) {
	d := r.cfg.CPUTime
	if r.request.Reason == Continuous {
		d = max(d, r.clocked)
	}
	locks, lockErr := beginContention()
	if lockErr == nil {
		defer locks.end()
	}
	begin := time.Now() // not earlier: the first profile of the locks takes its time, and what they are watched for is d
	if kind == CPU {
		a := r.part(ctx, CPU, func(ctx context.Context, w io.Writer) error { return r.writeCPU(ctx, w, d) })
		if a.Status == StatusOK && ctx.Err() != nil {
			a.Why = fmt.Sprintf("cut short after %s: %v", a.Took.Round(100*time.Millisecond), context.Cause(ctx))
		}
		r.put(a)
	}
	if rest := d - time.Since(begin); rest > 0 {
		pause(ctx, rest)
	}
	if m, _ := r.Manifest(r.id); !has(m, Mutex) {
		// What was measured is worth keeping although the time is over.
		r.put(r.part(context.WithoutCancel(ctx), Mutex, func(_ context.Context, w io.Writer) error {
			if lockErr != nil {
				return lockErr
			}
			return locks.write(w)
		}))
	}
}

func has(m Manifest, k Kind) bool {
	_, ok := m.Artefact(k)
	return ok
}

func (r *recording) writeCPU(ctx context.Context, w io.Writer, d time.Duration) error {
	if left := r.pressure.measured(); left > 0 && !pause(ctx, left) {
		return context.Cause(ctx)
	}
	if why := r.pressure.cpu(); why != "" && !r.forced() {
		return errSkip(why)
	}
	// The file takes no more once ctx has ended, so what comes of a profile that was cut short goes by another way.
	var profile lateWriter
	if err := r.cpu.profile(ctx, &profile, d); err != nil {
		if errors.Is(err, ErrBusy) {
			return errSkip(err.Error())
		}
		return err
	}
	bounded, ok := w.(*boundedWriter)
	if ok {
		bounded.ctx = context.WithoutCancel(ctx)
	}
	_, err := w.Write(profile.body)
	return err
}

// lateWriter keeps what is written to it.
type lateWriter struct{ body []byte }

func (l *lateWriter) Write(p []byte) (int, error) {
	l.body = append(l.body, p...)
	return len(p), nil
}
