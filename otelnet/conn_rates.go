package otelnet

import "time"

// rates are per second.
type rates struct{ received, sent, requests float32 }

// minRateInterval is the shortest time over which a sweep measures a rate. Two readers may sweep at almost the same
// moment; the later one then leaves the rates as they are.
const minRateInterval = 100 * time.Millisecond

// liveRateInterval is how long after a sweep the table measures a rate of its own since then.
const liveRateInterval = time.Second

// ratesSince returns the rates from last, or from the opening, until now. What the totals hold is what there was at
// last.
func (s *ConnStats) ratesSince(last, now int64, atLeast time.Duration) (rates, bool) {
	took := now - max(last, s.opened)
	if took < int64(atLeast) {
		return rates{}, false
	}
	per := 1 / time.Duration(took).Seconds()
	grown := func(now, then uint64) float32 { return float32(float64(max(now, then)-then) * per) }
	return rates{
		received: grown(s.received.Load(), s.foldedReceived),
		sent:     grown(s.sent.Load(), s.foldedSent),
		requests: float32(float64(uint32(s.requests.Load())-s.requestMark) * per),
	}, true
}

// markRates keeps the rates of the interval that a sweep ends. It comes before the fold.
func (s *ConnStats) markRates(last, now int64) {
	if r, ok := s.ratesSince(last, now, minRateInterval); ok {
		s.rates = r
	}
	s.requestMark = uint32(s.requests.Load())
}

// currentRates are those since the last sweep, or shortly after one those of the interval before it.
func (s *ConnStats) currentRates(now int64) rates {
	if r, ok := s.ratesSince(s.endpoint.scope.sweptAt.Load(), now, liveRateInterval); ok {
		return r
	}
	return s.rates
}
