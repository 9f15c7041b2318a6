package history

import (
	"math"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// merge answers one selector.
func (s *Store) merge(sel Selector, w window, cumulative bool) []Series {
	var out []Series
	for _, m := range s.order {
		if m.key.name != sel.Metric {
			continue
		}
		groups := make(map[string]int) // index into out
		for _, sr := range m.all {
			if n := len(sr.chunks); n == 0 || sr.chunks[n-1].last < w.lo {
				continue // has nothing in the window; last wraps only while a chunk is empty, which no reader sees
			}
			key, attrs := sel.group(&sr.attrs)
			i, ok := groups[key]
			if ok && (sel.Each || !slices.Equal(out[i].Bounds, sr.bounds)) {
				ok = false // buckets with different bounds cannot be added: they stay series of their own
			}
			if !ok {
				i = len(out)
				groups[key] = i
				out = append(out, m.newSeries(sel, sr, attrs, w.points))
			}
			a := adder{out: &out[i], sel: sel, w: w, cumulative: cumulative, restarts: s.restarts}
			a.read(m, sr)
		}
	}
	return out
}

// group returns the attributes that sel keeps of set, and a key that tells groups apart.
func (sel Selector) group(set *attribute.Set) (string, map[string]string) {
	attrs := make(map[string]string)
	if sel.Each {
		for it := set.Iter(); it.Next(); {
			kv := it.Attribute()
			attrs[string(kv.Key)] = kv.Value.String()
		}
		return "", attrs
	}
	var key strings.Builder
	for _, name := range sel.By {
		if v, ok := set.Value(attribute.Key(name)); ok {
			attrs[name] = v.String()
			key.WriteString(attrs[name])
		}
		key.WriteByte(0)
	}
	return key.String(), attrs
}

func (m *metric) newSeries(sel Selector, sr *series, attrs map[string]string, points int) Series {
	out := Series{Metric: m.key.name, Unit: m.unit, Kind: m.key.kind, Attributes: attrs, Values: absent(points)}
	if m.key.kind != Histogram {
		return out
	}
	out.Sums, out.Bounds = absent(points), slices.Clone(sr.bounds)
	if !sel.NoBuckets {
		out.Buckets = make([][]uint64, len(sr.bounds)+1)
		all := make([]uint64, points*len(out.Buckets))
		for b := range out.Buckets {
			out.Buckets[b] = all[b*points : (b+1)*points : (b+1)*points]
		}
	}
	return out
}

func absent(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = math.NaN()
	}
	return v
}

// adder adds the samples of one stored series to a series of the answer.
type adder struct {
	out        *Series
	sel        Selector
	w          window
	cumulative bool
	restarts   []uint64

	prev  sample // the sample before: what an increase starts from, or what stands for its point
	known bool   // whether there was one
	slot  uint64 // of prev
}

func (a *adder) read(m *metric, sr *series) {
	d := decoder{kind: m.key.kind, cur: sample{isInt: m.key.isInt}}
	if d.kind == Histogram {
		d.cur.buckets = make([]uint64, len(sr.bounds)+1)
	}
	asIs := d.kind < Counter || a.cumulative
	point := -1 // the point that prev stands for, when values are given as they are
	for _, c := range sr.chunksFrom(a.w.lo) {
		for d.open(c); d.next() && d.slot <= a.w.hi; {
			if d.slot < a.w.lo {
				a.keep(&d)
				continue
			}
			p := a.w.point[d.slot-a.w.lo]
			if asIs {
				// The last value of a step stands for it, and may be added to other series' only once.
				if point >= 0 && p != point {
					a.add(point, &a.prev, nil)
				}
				point = p
				a.keep(&d)
				continue
			}
			if a.known && a.restarted(d.slot) {
				a.add(p, &d.cur, nil) // it began at zero with its process
			} else if a.known {
				a.add(p, &d.cur, &a.prev)
			} else if d.slot == sr.first && sr.fromZero {
				a.add(p, &d.cur, nil)
			}
			a.keep(&d)
		}
	}
	if point >= 0 {
		a.add(point, &a.prev, nil)
	}
}

func (a *adder) keep(d *decoder) {
	a.prev.copyFrom(&d.cur)
	a.known, a.slot = true, d.slot
}

// restarted reports whether another process began between prev and slot.
func (a *adder) restarted(slot uint64) bool {
	for _, r := range a.restarts {
		if a.slot < r && r <= slot {
			return true
		}
	}
	return false
}

// add adds what cur is above before, or all of it when before is nil or cur has been reset since, to point p.
func (a *adder) add(p int, cur, before *sample) {
	if a.out.Kind == Histogram {
		a.addBuckets(p, cur, before)
		return
	}
	v := cur.value()
	if before != nil && v >= before.value() {
		v -= before.value()
	}
	old := &a.out.Values[p]
	switch {
	case math.IsNaN(v): // a gauge that says it does not know
	case math.IsNaN(*old):
		*old = v
	case a.sel.Max && a.out.Kind == Gauge:
		*old = max(*old, v)
	default:
		*old += v
	}
}

func (a *adder) addBuckets(p int, cur, before *sample) {
	if before != nil {
		for b, n := range cur.buckets {
			if n < before.buckets[b] {
				before = nil
				break
			}
		}
	}
	var count uint64
	sum := cur.value()
	if before != nil {
		sum -= before.value()
	}
	for b, n := range cur.buckets {
		if before != nil {
			n -= before.buckets[b]
		}
		count += n
		if a.out.Buckets != nil {
			a.out.Buckets[b][p] += n
		}
	}
	if math.IsNaN(a.out.Values[p]) {
		a.out.Values[p], a.out.Sums[p] = 0, 0
	}
	a.out.Values[p] += float64(count)
	a.out.Sums[p] += sum
}
