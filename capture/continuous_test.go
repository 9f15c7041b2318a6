package capture

import (
	"sync/atomic"
	"testing"
	"time"
)

// The clock makes captures while times are quiet, and none while an alert fires. It is a quicker clock than a service has.
func TestContinuousProfiles(t *testing.T) {
	cfg := quick(t)
	var alert atomic.Bool
	cfg.Quiet = func() bool { return !alert.Load() }
	if err := cfg.check(); err != nil {
		t.Fatal(err)
	}
	const profile = 100 * time.Millisecond
	cfg.Continuous = 150 * time.Millisecond
	c, err := open(cfg, profile)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	waitFor(t, "a baseline", func() bool {
		_, ok := c.Baseline()
		return ok
	})
	base, _ := c.Baseline()
	for _, k := range []Kind{Goroutine, Heap, CPU, Mutex} {
		wantPart(t, base, k, StatusOK, "")
	}
	if a, _ := base.Artefact(CPU); base.Reason != Continuous || a.Took < profile || len(base.Artefacts) != 4 {
		t.Errorf("got %+v, want a profile of %v by the clock, and no table and metrics", base, profile)
	}
	waitFor(t, "more than are kept", func() bool {
		_, kept := c.Manifest(base.ID)
		return !kept
	})
	alert.Store(true)
	time.Sleep(cfg.Continuous) // for one that was about to begin
	waitFor(t, "the last one's end", func() bool { return c.Captures()[0].State == StateDone })
	newest := c.Captures()[0].ID
	time.Sleep(3 * cfg.Continuous) // in which three more would have come
	all := c.Captures()
	if all[0].ID != newest {
		t.Errorf("%s was made while an alert fired", all[0].ID)
	}
	if len(all) != DefaultMaxCaptures/4 {
		t.Errorf("%d captures by the clock are kept, want %d", len(all), DefaultMaxCaptures/4)
	}
}
