package tracesum

import (
	"math"
	"math/bits"
	"slices"
)

// spread counts durations in buckets that are at most 1/32 wide, so it needs the same memory for ten as for ten million.
type spread struct {
	count int64
	total int64 // nanoseconds, as all here
	max   int64
	fine  []uint32
}

const sub = 5 // bits: 32 buckets for each doubling

func (s *spread) add(ns int64) {
	ns = max(ns, 0)
	s.count++
	s.total += ns
	s.max = max(s.max, ns)
	i := bucketOf(uint64(ns))
	if i >= len(s.fine) {
		s.fine = append(s.fine, make([]uint32, i+1-len(s.fine))...)
	}
	s.fine[i]++
}

// bucketOf numbers the buckets: one for each value below 64, then 32 for each doubling.
func bucketOf(v uint64) int {
	shift := max(bits.Len64(v)-sub-1, 0)
	return shift<<sub + int(v>>shift)
}

// upper is the largest value of bucket i.
func upper(i int) int64 {
	shift := max(i>>sub-1, 0)
	return int64((uint64(i-shift<<sub)+1)<<shift - 1)
}

func (s *spread) quantile(q float64) int64 {
	rank := int64(math.Ceil(q * float64(s.count)))
	var seen int64
	for i, n := range s.fine {
		if seen += int64(n); seen >= rank && n > 0 {
			return min(upper(i), s.max)
		}
	}
	return s.max
}

func (s *spread) times() Times {
	t := Times{
		Count: s.count, Total: seconds(s.total), Max: seconds(s.max),
		P50: seconds(s.quantile(0.5)), P99: seconds(s.quantile(0.99)),
	}
	if s.count == 0 {
		return t
	}
	t.Buckets = make([]int64, len(Bounds)+1)
	for i, n := range s.fine {
		if n > 0 {
			b, _ := slices.BinarySearch(Bounds, seconds(upper(i)))
			t.Buckets[b] += int64(n)
		}
	}
	return t
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }
