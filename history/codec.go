package history

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// sample is one value of a series. Which fields count depends on the kind: a number has only bits, a histogram has the bits of its
// sum and its buckets. The count of a histogram is the sum of its buckets.
type sample struct {
	bits    uint64 // int64 or the bits of a float64, as the metric's number type says
	isInt   bool
	buckets []uint64
}

func (s *sample) reset() {
	s.bits = 0
	clear(s.buckets)
}

func (s *sample) value() float64 {
	if s.isInt {
		return float64(int64(s.bits))
	}
	return math.Float64frombits(s.bits)
}

func (s *sample) copyFrom(o *sample) {
	s.bits, s.isInt = o.bits, o.isInt
	s.buckets = append(s.buckets[:0], o.buckets...)
}

// appendSample encodes sm, the slots since the last sample and the difference to prev, and makes prev equal to sm. Each chunk
// begins with a zero prev, so it can be read alone.
func appendSample(dst []byte, kind Kind, slots uint64, prev, sm *sample) []byte {
	dst = binary.AppendUvarint(dst, slots)
	if kind == Histogram {
		// Most series rest at most ticks: one byte says that nothing changed.
		if prev.bits == sm.bits && slices.Equal(prev.buckets, sm.buckets) {
			return append(dst, 0)
		}
		dst = append(dst, 1)
		if len(prev.buckets) != len(sm.buckets) {
			prev.buckets = make([]uint64, len(sm.buckets))
		}
		for i, b := range sm.buckets {
			dst = appendDelta(dst, prev.buckets[i], b)
		}
	}
	if sm.isInt {
		dst = appendDelta(dst, prev.bits, sm.bits)
	} else {
		// Floats that lie close share sign, exponent and upper mantissa; round ones end in zeros. Reversed, both make it short.
		dst = binary.AppendUvarint(dst, bits.ReverseBytes64(prev.bits^sm.bits))
	}
	prev.copyFrom(sm)
	return dst
}

// appendDelta encodes the difference modulo 2^64, so every pair of values survives, a fall costs no more than a rise.
func appendDelta(dst []byte, from, to uint64) []byte {
	d := int64(to - from)
	return binary.AppendUvarint(dst, uint64(d)<<1^uint64(d>>63))
}

// decoder reads the samples of one chunk. After next returns true, slot and cur hold the sample; cur is reused by the next call.
type decoder struct {
	kind Kind
	data []byte
	slot uint64
	cur  sample
}

func (d *decoder) open(c chunk) {
	d.data = c.data
	d.slot = c.block*blockSlots - 1 // wraps in block 0, and the first sample wraps it back
	d.cur.reset()
}

func (d *decoder) next() bool {
	if len(d.data) == 0 {
		return false
	}
	d.slot += d.uvarint()
	if d.kind == Histogram {
		changed := d.data[0]
		d.data = d.data[1:]
		if changed == 0 {
			return true
		}
		for i := range d.cur.buckets {
			d.cur.buckets[i] += d.delta()
		}
	}
	if d.cur.isInt {
		d.cur.bits += d.delta()
	} else {
		d.cur.bits ^= bits.ReverseBytes64(d.uvarint())
	}
	return true
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	d.data = d.data[n:]
	return v
}

func (d *decoder) delta() uint64 {
	u := d.uvarint()
	return u>>1 ^ -(u & 1)
}
