package agent

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// source counts the collections and may go wrong.
type source struct{ collect func() error }

func (s source) Collect(context.Context, *metricdata.ResourceMetrics) error {
	if s.collect == nil {
		return nil
	}
	return s.collect()
}

// newTestTicker returns a ticker and a func that gives the times at which it ticked, since start.
func newTestTicker(interval time.Duration, s source) (*ticker, func() []time.Duration) {
	var mu sync.Mutex
	var times []time.Duration
	start := time.Now()
	tk := newTicker(interval, s, func(time.Duration) {}, consumer{"test", func(_ context.Context, at time.Time, rm *metricdata.ResourceMetrics) error {
		mu.Lock()
		defer mu.Unlock()
		if rm != nil {
			times = append(times, at.Sub(start))
		}
		return nil
	}})
	return tk, func() []time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return append([]time.Duration(nil), times...)
	}
}

func seconds(n ...int) []time.Duration {
	var d []time.Duration
	for _, s := range n {
		d = append(d, time.Duration(s)*time.Second)
	}
	return d
}

func TestTickerFollowsViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tk, times := newTestTicker(5*time.Second, source{})
		tk.start()
		time.Sleep(11 * time.Second) // 0, 5, 10
		tk.setViewers(1)
		tk.setViewers(2)            // changes nothing
		time.Sleep(3 * time.Second) // 12, 13, 14
		tk.setViewers(0)            //
		time.Sleep(6 * time.Second) // 19
		synctest.Wait()
		if diff := cmp.Diff(seconds(0, 5, 10, 12, 13, 14, 19), times()); diff != "" {
			t.Errorf("ticks (-want +got):\n%s", diff)
		}
		if err := tk.stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A slow collection skips ticks; it does not make them up in a burst. Counts that were collected late have the time at which they were.
func TestTickerSkipsMissedTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		collections := 0
		tk, times := newTestTicker(time.Second, source{func() error {
			if collections++; collections == 2 {
				time.Sleep(3500 * time.Millisecond)
			}
			return nil
		}})
		tk.start()
		time.Sleep(7500 * time.Millisecond)
		synctest.Wait()
		got := times()
		if err := tk.stop(t.Context()); err != nil {
			t.Error(err)
		}
		// The tick of second 1 ends past its time limit and has no snapshot; that of second 2 waits for it; 3 and 4 are gone.
		want := seconds(0, 0, 5, 6, 7)
		want[1] = 4500 * time.Millisecond
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ticks (-want +got):\n%s", diff)
		}
	})
}

// Collections that are slow now and then, as callbacks and busy machines make them: each snapshot's time is after that of the one before, and
// within a tenth of a tick of the time at which it was taken.
func TestTickerTellsWhenItCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var collected []time.Duration
		start := time.Now()
		takes := []time.Duration{0, 50, 700, 90, 0, 950, 60, 0, 120, 0}
		tk, times := newTestTicker(time.Second, source{func() error {
			time.Sleep(takes[len(collected)%len(takes)] * time.Millisecond)
			collected = append(collected, time.Since(start))
			return nil
		}})
		tk.start()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		got := times()
		if err := tk.stop(t.Context()); err != nil {
			t.Error(err)
		}
		if len(got) < 30 {
			t.Errorf("%d snapshots in 30 s, want one each second", len(got))
		}
		for i, at := range got {
			if late := collected[i] - at; late < 0 || late > 100*time.Millisecond || i > 0 && at <= got[i-1] {
				t.Errorf("snapshot %d was collected at %v and has the time %v, after %v", i, collected[i], at, got[max(0, i-1)])
			}
		}
	})
}

// A panic or an error in one tick is told once and does not end the ticking.
func TestTickerSurvivesPanicAndTellsOnce(t *testing.T) {
	var mu sync.Mutex
	var told []string
	before := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, err.Error())
	}))
	t.Cleanup(func() { otel.SetErrorHandler(before) })
	synctest.Test(t, func(t *testing.T) {
		collections := 0
		tk, times := newTestTicker(time.Second, source{func() error {
			collections++
			switch {
			case collections == 2:
				panic("boom")
			case collections >= 4:
				return errors.New("a callback failed")
			}
			return nil
		}})
		tk.start()
		time.Sleep(5500 * time.Millisecond)
		synctest.Wait()
		if err := tk.stop(t.Context()); err != nil {
			t.Error(err)
		}
		// A collection with an error is still handed on: one callback failed, the rest is good.
		if diff := cmp.Diff(seconds(0, 2, 3, 4, 5), times()); diff != "" {
			t.Errorf("ticks (-want +got):\n%s", diff)
		}
	})
	if diff := cmp.Diff([]string{"agent: tick: panicked: boom", "agent: collect: a callback failed"}, told); diff != "" {
		t.Errorf("errors told (-want +got):\n%s", diff)
	}
}

func TestTickerStopIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		collections := 0
		tk, _ := newTestTicker(time.Second, source{func() error {
			if collections++; collections == 2 {
				<-release
			}
			return nil
		}})
		tk.start()
		time.Sleep(1500 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		begin := time.Now()
		if err := tk.stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stop during a tick that hangs = %v, want DeadlineExceeded", err)
		}
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("stop took %v, want 2s", took)
		}
		close(release)
	})
}
