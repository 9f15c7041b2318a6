package history

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"
)

// Kind is what a series' numbers mean.
type Kind int

// The kinds of series.
const (
	Gauge     Kind = iota // a value as it is now
	UpDown                // a sum that may fall: read like a gauge, and series of it may be added up
	Counter               // a sum that only rises
	Histogram             // counts in buckets with explicit bounds, with their sum
)

// String returns "gauge", "updown", "counter" or "histogram".
func (k Kind) String() string {
	switch k {
	case UpDown:
		return "updown"
	case Counter:
		return "counter"
	case Histogram:
		return "histogram"
	default:
		return "gauge"
	}
}

// metricKey tells metrics apart. Kind and number type belong to it so that one series never mixes them.
type metricKey struct {
	scope, name string
	kind        Kind
	isInt       bool
}

type metric struct {
	key    metricKey
	unit   string
	byAttr map[attribute.Distinct]*series
	all    []*series // in order of appearance; also those whose bounds were replaced and that only wait to expire
}

// seriesOverhead is what a series costs before its first sample: the struct, its places in map and slice, its first chunks.
const seriesOverhead = 320

type series struct {
	attrs    attribute.Set
	bounds   []float64 // of a histogram
	chunks   []chunk   // oldest first
	free     []byte    // one buffer kept for the next chunk
	first    uint64    // the slot of its first sample
	fromZero bool      // absent from the snapshot before its first sample, so it began at zero

	prev    sample // the last sample, as the encoder left it
	running sample // totals of a series that is reported as deltas
}

// chunk is a series' samples within one block.
type chunk struct {
	block uint64
	last  uint64 // slot of the last sample
	data  []byte
}

// find returns the series for attrs and bounds, nil if there is none.
func (m *metric) find(attrs *attribute.Set, bounds []float64) *series {
	sr := m.byAttr[attrs.Equivalent()]
	if sr == nil || !slices.Equal(sr.bounds, bounds) {
		return nil
	}
	return sr
}

// drop lets go of what the series hold of block id, and of series that hold nothing more. It returns the bytes set free.
func (m *metric) drop(id uint64, reuse bool, count *int) (freed int) {
	kept := m.all[:0]
	for _, sr := range m.all {
		if len(sr.chunks) > 0 && sr.chunks[0].block <= id {
			data := sr.chunks[0].data
			n := copy(sr.chunks, sr.chunks[1:])
			sr.chunks[n] = chunk{}
			sr.chunks = sr.chunks[:n]
			if reuse && sr.free == nil {
				sr.free = data[:0]
			} else {
				freed += cap(data)
			}
		}
		if len(sr.chunks) > 0 {
			kept = append(kept, sr)
			continue
		}
		freed += cap(sr.free) + sr.overhead()
		*count--
		if d := sr.attrs.Equivalent(); m.byAttr[d] == sr {
			delete(m.byAttr, d)
		}
	}
	clear(m.all[len(kept):])
	m.all = kept
	return freed
}

func (sr *series) overhead() int {
	return seriesOverhead + 64*sr.attrs.Len() + 24*len(sr.bounds)
}

// add encodes sm as the sample of slot. It returns by how many bytes the series grew.
func (sr *series) add(kind Kind, slot uint64, sm *sample) (grown int) {
	id := slot / blockSlots
	n := len(sr.chunks)
	if n == 0 || sr.chunks[n-1].block != id {
		data := sr.free
		sr.free = nil
		if data == nil && n > 0 {
			data = make([]byte, 0, len(sr.chunks[n-1].data)) // as the one before: no growing by doubling
			grown += cap(data)
		}
		sr.chunks = append(sr.chunks, chunk{block: id, last: id*blockSlots - 1, data: data})
		sr.prev.reset()
		n++
	}
	c := &sr.chunks[n-1]
	if c.last == slot {
		return grown // two scopes that differ in version only can report one series twice; the first is kept
	}
	before := cap(c.data)
	c.data = appendSample(c.data, kind, slot-c.last, &sr.prev, sm)
	c.last = slot
	return grown + cap(c.data) - before
}
