package history

// thinOld thins the blocks that lie wholly before the fine part. As a rule that is one block every 64 snapshots, at a cost of
// about 100 ns for each sample in it.
func (s *Store) thinOld(now int64) {
	cutoff := now - int64(s.cfg.Fine)
	for i := range s.blocks {
		b := &s.blocks[i]
		if b.id == (s.nextSlot-1)/blockSlots || b.times[b.n-1] >= cutoff {
			return // it is still written to, or fine
		}
		if !b.thin {
			s.thin(b)
		}
	}
}

// thin keeps of a block the last snapshot in each Coarse, on multiples of it, its very last, and the store's first, where all
// increases begin. What a series that vanishes gained after the last snapshot that is kept counts when it is back.
func (s *Store) thin(b *block) {
	b.thin = true
	var to [blockSlots]int // the new index of each slot, -1 for those that go
	n := 0
	for i, t := range b.times[:b.n] {
		to[i] = -1
		if i == b.n-1 || i == 0 && b.id == 0 || floorDiv(t, int64(s.cfg.Coarse)) != floorDiv(b.times[i+1], int64(s.cfg.Coarse)) {
			to[i] = n
			b.times[n] = t
			n++
		}
	}
	if n == b.n {
		return // they were not closer than that
	}
	b.n = n
	for _, m := range s.order {
		for _, sr := range m.all {
			s.bytes += sr.thin(m.key, b.id, &to)
		}
	}
}

// thin writes the chunk of block id anew with the slots that are left. It returns by how many bytes the series grew.
func (sr *series) thin(key metricKey, id uint64, to *[blockSlots]int) (grown int) {
	i := 0
	for i < len(sr.chunks) && sr.chunks[i].block != id {
		i++
	}
	if i == len(sr.chunks) {
		return 0
	}
	c := &sr.chunks[i]
	base := id * blockSlots
	out := chunk{block: id, last: base - 1, data: make([]byte, 0, len(c.data)/2)}
	prev := sample{isInt: key.isInt}
	d := decoder{kind: key.kind, cur: sample{isInt: key.isInt}}
	if key.kind == Histogram {
		d.cur.buckets = make([]uint64, len(sr.bounds)+1)
	}
	first := sr.first // of the whole series; it moves with its sample, or to the next that is left
	for d.open(*c); d.next(); {
		index := to[d.slot-base]
		if index < 0 {
			continue
		}
		slot := base + uint64(index)
		if sr.first/blockSlots == id && out.last == base-1 {
			first = slot
		}
		out.data = appendSample(out.data, key.kind, slot-out.last, &prev, &d.cur)
		out.last = slot
	}
	if out.last == base-1 { // all of its samples went
		if first/blockSlots == id && i+1 < len(sr.chunks) {
			next := decoder{data: sr.chunks[i+1].data, slot: sr.chunks[i+1].block*blockSlots - 1}
			first = next.slot + next.uvarint()
		}
		grown = -cap(c.data)
		sr.chunks = append(sr.chunks[:i], sr.chunks[i+1:]...)
		sr.first = first
		return grown
	}
	sr.first = first
	out.data = append(make([]byte, 0, len(out.data)), out.data...) // no larger than it must be: it stays for long
	old := c.data
	*c = out
	if sr.free == nil {
		sr.free = old[:0]
		return cap(out.data)
	}
	return cap(out.data) - cap(old)
}
