package alertproc

import (
	"math"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// kind is what an instrument's data points are.
type kind uint8

const (
	kindUnknown     kind = iota
	kindGauge            // the last value; several series do not add up
	kindUpDown           // the present sum of ups and downs; several series add up
	kindCounter          // a monotonic sum
	kindHistogram        // with explicit bounds
	kindExponential      // exponential histogram
	kindSummary          // cannot be judged
)

func (k kind) String() string {
	return [...]string{
		"unknown", "a gauge", "an up-down counter", "a counter", "a histogram", "an exponential histogram", "a summary",
	}[k]
}

// counts tells whether the instrument counts events, so that it has an increase over a window.
func (k kind) counts() bool { return k == kindCounter || k == kindHistogram || k == kindExponential }

// instrument is a metric name that rules ask for, with its series. A series is matched against the rules once, when
// it is first seen; from then on a collected point costs one map lookup and the additions.
type instrument struct {
	name    string
	uses    selectors
	streams []*stream
	// started is set after the first snapshot. From then on a series that was not in the last snapshot is new: its
	// value before was 0, and its first value is all increase. At the first snapshot that cannot be known (the
	// processor may have been made long after the counter), so values only serve as the start.
	started bool

	seen       bool // it was in a snapshot
	warned     bool // it was told that it is not
	overflowed bool // it was told that series are lumped together
}

// selector is one use of an instrument by a rule.
type selector struct {
	rule *rule
	part int // which accumulator of an instance it feeds: partMain, or partTotal of a ratio
	matcher
}

// selectors are all uses of an instrument. Most have an attribute that must have one certain value. They are found by
// that, so that a new series is not compared with a thousand rules that are each for one route.
type selectors struct {
	all     []selector
	general []int               // places in all
	byValue map[labelText][]int // likewise
}

func (s *selectors) add(sel selector) {
	place := len(s.all)
	s.all = append(s.all, sel)
	for _, p := range sel.matcher {
		if len(p.oneOf) == 1 && p.oneOf[0] != "" {
			if s.byValue == nil {
				s.byValue = map[labelText][]int{}
			}
			at := labelText{p.key, p.oneOf[0]}
			s.byValue[at] = append(s.byValue[at], place)
			return
		}
	}
	s.general = append(s.general, place)
}

// each calls f with the selectors that match.
func (s *selectors) each(texts labelTexts, f func(*selector)) {
	try := func(places []int) {
		for _, i := range places {
			if s.all[i].match(texts) {
				f(&s.all[i])
			}
		}
	}
	try(s.general)
	if s.byValue != nil {
		for _, t := range texts {
			try(s.byValue[t])
		}
	}
}

// stream is the metrics of one name that cannot be mistaken for another's series: instruments of the same name may
// come from several scopes, and with several kinds.
type stream struct {
	scope       string
	version     string
	kind        kind
	delta       bool // what its points are, as of the last snapshot
	unit        string
	description string
	bounds      []float64 // of a histogram's first series; the others share them
	series      map[attribute.Distinct]*series
}

// series is one attribute set of a stream with its last cumulative value.
type series struct {
	set   attribute.Set
	feeds []*accumulator
	seen  uint64 // tick of the last snapshot that had it
	value total  // of a counter; of an up-down counter by deltas their sum
	count uint64 // of a histogram, as is the sum
	sum   total
	// bounds and buckets are copies: the snapshot's memory is used again for the next one. They are kept even if no
	// rule asks for them, so that one which does can be added without a gap.
	bounds  []float64
	buckets []uint64
	exp     *expCounts
	fresh   bool
}

func (in *instrument) stream(scope *instrumentation.Scope, m *metricdata.Metrics, k kind) *stream {
	for _, s := range in.streams {
		if s.kind == k && s.scope == scope.Name && s.version == scope.Version && s.unit == m.Unit &&
			s.description == m.Description {
			return s
		}
	}
	s := &stream{
		scope: scope.Name, version: scope.Version, kind: k, unit: m.Unit, description: m.Description,
		series: map[attribute.Distinct]*series{},
	}
	in.streams = append(in.streams, s)
	return s
}

// ingest adds a snapshot to the windows of all rules, also of groups that are not due.
func (e *engine) ingest(rm *metricdata.ResourceMetrics) {
	e.tick++
	for i := range rm.ScopeMetrics {
		scope := &rm.ScopeMetrics[i].Scope
		metrics := rm.ScopeMetrics[i].Metrics
		for j := range metrics {
			if in := e.instruments[metrics[j].Name]; in != nil {
				e.metric(in, scope, &metrics[j])
			}
		}
	}
	for _, in := range e.instruments {
		in.started = true
	}
	for _, r := range e.rules {
		r.fold(e.tick)
	}
}

func (e *engine) metric(in *instrument, scope *instrumentation.Scope, m *metricdata.Metrics) {
	in.seen = true
	switch data := m.Data.(type) {
	case metricdata.Gauge[int64]:
		numbers(e, in, in.stream(scope, m, kindGauge), data.DataPoints, false)
	case metricdata.Gauge[float64]:
		numbers(e, in, in.stream(scope, m, kindGauge), data.DataPoints, false)
	case metricdata.Sum[int64]:
		numbers(e, in, in.stream(scope, m, sumKind(data.IsMonotonic)), data.DataPoints, isDelta(data.Temporality))
	case metricdata.Sum[float64]:
		numbers(e, in, in.stream(scope, m, sumKind(data.IsMonotonic)), data.DataPoints, isDelta(data.Temporality))
	case metricdata.Histogram[int64]:
		histograms(e, in, in.stream(scope, m, kindHistogram), data.DataPoints, isDelta(data.Temporality))
	case metricdata.Histogram[float64]:
		histograms(e, in, in.stream(scope, m, kindHistogram), data.DataPoints, isDelta(data.Temporality))
	case metricdata.ExponentialHistogram[int64]:
		exponentials(e, in, in.stream(scope, m, kindExponential), data.DataPoints, isDelta(data.Temporality))
	case metricdata.ExponentialHistogram[float64]:
		exponentials(e, in, in.stream(scope, m, kindExponential), data.DataPoints, isDelta(data.Temporality))
	case metricdata.Summary:
		in.misfit(kindSummary)
	}
}

func sumKind(monotonic bool) kind {
	if monotonic {
		return kindCounter
	}
	return kindUpDown
}

func isDelta(t metricdata.Temporality) bool { return t == metricdata.DeltaTemporality }

// find returns the series of a point, and whether it takes part; a second point of a series in one snapshot does not.
func (e *engine) find(in *instrument, st *stream, set *attribute.Set) (*series, bool) {
	key := set.Equivalent()
	s := st.series[key]
	if s == nil {
		s = &series{set: *set, fresh: true}
		st.series[key] = s
		e.texts = in.join(st, s, e.texts)
		if e.texts.overflow() {
			e.overflow(in)
		}
	} else if s.seen == e.tick {
		return nil, false
	}
	s.seen = e.tick
	return s, len(s.feeds) > 0
}

// join finds the instances that a series feeds. An instance that already gets it once, because the metric is both the
// bad and the total of a ratio, gets it in each part. It returns scratch for the next call.
func (in *instrument) join(st *stream, s *series, scratch labelTexts) labelTexts {
	texts := newLabelTexts(&s.set, scratch)
	in.uses.each(texts, func(sel *selector) {
		if !sel.rule.accepts(in.name, st.kind) {
			return
		}
		if inst := sel.rule.instance(texts); inst != nil {
			inst.series++
			a := &inst.parts[sel.part]
			s.feeds = append(s.feeds, a)
			if st.delta && st.kind.counts() && !s.fresh && a.tick == 0 {
				a.tick, a.delta = s.seen, true // a rule of a reload: what is missing since then was 0
			}
		}
	})
	return texts
}

// misfit records that a metric is of a kind that its rules cannot use.
func (in *instrument) misfit(k kind) {
	for i := range in.uses.all {
		in.uses.all[i].rule.accepts(in.name, k)
	}
}

func numbers[N int64 | float64](e *engine, in *instrument, st *stream, points []metricdata.DataPoint[N], delta bool) {
	st.delta = delta
	for i := range points {
		p := &points[i]
		s, ok := e.find(in, st, &p.Attributes)
		if !ok {
			continue
		}
		v := float64(p.Value)
		if math.IsNaN(v) || math.IsInf(v, 0) && st.kind == kindCounter {
			continue // not a number is no data, nor is a count without end: the feeds do not see this tick
		}
		if st.kind == kindCounter {
			increase, restarted := since(&s.value, p.Value)
			switch {
			case s.fresh && !in.started:
				increase = 0
			case s.fresh || delta || restarted:
				increase = v
			}
			s.fresh = false
			for _, a := range s.feeds {
				a.add(e.tick, delta, increase, increase)
			}
			continue
		}
		if delta {
			s.value.float += v
			v = s.value.float
		}
		for _, a := range s.feeds {
			a.observe(e.tick, v)
		}
	}
}

// total is a number as it was last collected. An int64 above 2^53 has digits that a float64 does not, and what was
// added to it may be in those.
type total struct {
	whole int64
	float float64
}

// since returns how much a total grew, and notes its new value. below says that it is less than it was: it began anew.
func since[N int64 | float64](t *total, v N) (increase float64, below bool) {
	switch v := any(v).(type) {
	case int64:
		increase, below = float64(v-t.whole), v < t.whole
		t.whole = v
	case float64:
		increase, below = v-t.float, v < t.float
		t.float = v
	}
	return increase, below
}

func histograms[N int64 | float64](e *engine, in *instrument, st *stream, points []metricdata.HistogramDataPoint[N], delta bool) {
	st.delta = delta
	for i := range points {
		p := &points[i]
		s, ok := e.find(in, st, &p.Attributes)
		if !ok {
			continue
		}
		sum, _ := since(&s.sum, p.Sum)
		whole := s.fresh || delta || p.Count < s.count || s.shrunk(p.Bounds, p.BucketCounts)
		count, counts := p.Count, p.BucketCounts
		switch {
		case s.fresh && !in.started:
			count, sum, counts = 0, 0, nil
		case whole:
			sum = float64(p.Sum)
		default:
			count -= s.count
			if count > 0 {
				e.scratch = append(e.scratch[:0], counts...)
				for i, n := range s.buckets {
					e.scratch[i] -= n
				}
				counts = e.scratch
			}
		}
		if !slices.Equal(s.bounds, p.Bounds) {
			if !slices.Equal(st.bounds, p.Bounds) {
				st.bounds = slices.Clone(p.Bounds)
			}
			s.bounds = st.bounds
		}
		for _, a := range s.feeds {
			a.observed(e.tick, delta, count, sum)
			if count > 0 && a.hist != nil {
				a.hist.addExplicit(s.bounds, counts)
			}
		}
		s.fresh, s.count = false, p.Count
		s.buckets = append(s.buckets[:0], p.BucketCounts...)
	}
}

// shrunk tells whether the buckets cannot be a continuation of the last ones: some count went down, or the bounds
// are others.
func (s *series) shrunk(bounds []float64, counts []uint64) bool {
	if len(counts) != len(s.buckets) || !slices.Equal(bounds, s.bounds) {
		return true
	}
	for i, n := range s.buckets {
		if counts[i] < n {
			return true
		}
	}
	return false
}
