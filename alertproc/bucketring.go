package alertproc

import "math/bits"

// bucketRing is the time line of a histogram: a row for each slot, with what each bucket got since the slot before. A
// number takes as many bytes as the largest one that its bucket ever had needs, little endian: none while the bucket was
// always empty, one up to 255 observations a slot, two up to 65,535. No number is ever cut.
type bucketRing struct {
	slots  int
	widths []uint8 // of the numbers, by bucket, in bytes
	stride int     // bytes of a row
	rows   []byte
}

// resize makes an empty ring for so many buckets.
func (r *bucketRing) resize(buckets int) {
	r.widths = make([]uint8, buckets)
	r.stride, r.rows = 0, nil
}

func (r *bucketRing) row(slot uint64) []byte {
	at := int(slot%uint64(r.slots)) * r.stride
	return r.rows[at : at+r.stride]
}

// write puts counts into the row of a slot, after making room for them.
func (r *bucketRing) write(slot uint64, counts []uint64) {
	if !r.fits(counts) {
		r.widen(counts)
	}
	row, at := r.row(slot), 0
	for i, n := range counts {
		for range r.widths[i] {
			row[at] = byte(n)
			n >>= 8
			at++
		}
	}
}

func (r *bucketRing) fits(counts []uint64) bool {
	for i, n := range counts {
		if n>>(8*r.widths[i]) != 0 { // a shift by 64 leaves nothing
			return false
		}
	}
	return true
}

// add adds the row of a slot to counts.
func (r *bucketRing) add(slot uint64, counts []uint64) {
	row, at := r.row(slot), 0
	for i, width := range r.widths {
		for shift := 0; shift < 8*int(width); shift += 8 {
			counts[i] += uint64(row[at]) << shift
			at++
		}
	}
}

// subtract takes the row of a slot from counts.
func (r *bucketRing) subtract(slot uint64, counts []uint64) {
	row, at := r.row(slot), 0
	for i, width := range r.widths {
		for shift := 0; shift < 8*int(width); shift += 8 {
			counts[i] -= uint64(row[at]) << shift
			at++
		}
	}
}

// widen makes room for counts in every row.
func (r *bucketRing) widen(counts []uint64) {
	r.rebuild(len(counts), func(i int) int { return i }, counts)
}

// rebuild makes a ring of so many buckets, with each present one where move says; several may go to one place. also is
// what must fit besides, nil for nothing.
func (r *bucketRing) rebuild(buckets int, move func(int) int, also []uint64) {
	old := *r
	r.resize(buckets)
	was, now, most := make([]uint64, len(old.widths)), make([]uint64, buckets), make([]uint64, buckets)
	read := func(slot int) {
		clear(was)
		clear(now)
		old.add(uint64(slot), was)
		for i, n := range was {
			now[move(i)] += n
		}
	}
	copy(most, also)
	for slot := range r.slots {
		read(slot)
		for i, n := range now {
			most[i] |= n // has a highest bit like the largest one
		}
	}
	for i, n := range most {
		r.widths[i] = uint8(bits.Len64(n)+7) / 8
		r.stride += int(r.widths[i])
	}
	r.rows = make([]byte, r.slots*r.stride)
	for slot := range r.slots {
		read(slot)
		r.write(uint64(slot), now)
	}
}
