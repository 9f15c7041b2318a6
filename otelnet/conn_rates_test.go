package otelnet

import (
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	second := int64(time.Second)
	s := &ConnStats{endpoint: &endpoint{scope: &scope{}, io: &ioTotals{}}, opened: 100 * second}
	sc := s.endpoint.scope
	sweepAt := func(at int64) {
		s.markRates(sc.sweptAt.Load(), at)
		s.foldLocked()
		sc.sweptAt.Store(at)
	}
	want := func(what string, got, want rates) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %+v, want %+v", what, got, want)
		}
	}

	// Before the first sweep: since it was opened.
	s.received.Store(400)
	s.sent.Store(2000)
	s.requests.Store(6)
	want("after 2 s", s.currentRates(102*second), rates{received: 200, sent: 1000, requests: 3})

	// A sweep ends an interval; shortly after it that interval's rates are shown.
	sweepAt(104 * second)
	want("just after a sweep", s.currentRates(104*second+second/2), rates{received: 100, sent: 500, requests: 1.5})
	s.received.Store(700)
	want("3 s after it", s.currentRates(107*second), rates{received: 100})

	// A second reader that sweeps at almost the same moment leaves the rates as they are.
	sweepAt(107 * second)
	sweepAt(107*second + second/100)
	want("after two sweeps", s.currentRates(107*second+second/2), rates{received: 100})
}
