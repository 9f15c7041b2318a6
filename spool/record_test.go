package spool

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"
)

// segmentOf is a segment with these requests, of which the first n are settled.
func segmentOf(settled int, requests ...string) []byte {
	b := []byte(magic)
	for i, r := range requests {
		at := len(b)
		b = appendRecord(b, record{at: time.Unix(int64(i), 0), request: []byte(r)})
		if i < settled {
			b[at] = stateSettled
		}
	}
	return b
}

func TestReadSegment(t *testing.T) {
	three := segmentOf(0, "one", "two", "three")
	first := len(magic) + headerSize + len("one")
	second := first + headerSize + len("two")
	changed := func(b []byte, at int, to byte) []byte {
		b = slices.Clone(b)
		b[at] = to
		return b
	}
	tests := []struct {
		name    string
		segment []byte
		want    survey
	}{
		{"nothing", nil, survey{damage: torn}},
		{"half the magic", []byte(magic)[:3], survey{damage: torn}},
		{"not a segment", []byte("a text file of somebody else"), survey{damage: corrupt}},
		{"no record", []byte(magic), survey{next: 8, end: 8}},
		{"three", three, survey{next: 8, end: int64(len(three)), pending: 3}},
		{"one settled", segmentOf(1, "one", "two", "three"), survey{next: int64(first), end: int64(len(three)), pending: 2}},
		{"all settled", segmentOf(3, "one", "two", "three"), survey{next: int64(len(three)), end: int64(len(three))}},
		{
			"a settled mark that did not reach the disk", changed(segmentOf(2, "one", "two", "three"), len(magic), statePending),
			survey{next: int64(second), end: int64(len(three)), pending: 1},
		},
		{"torn in the last request", three[:len(three)-2], survey{next: 8, end: int64(second), pending: 2, damage: torn}},
		{"torn in the last header", three[:second+7], survey{next: 8, end: int64(second), pending: 2, damage: torn}},
		{
			"grown before its content arrived", append(slices.Clone(three[:second]), make([]byte, 5000)...),
			survey{next: 8, end: int64(second), pending: 2, damage: torn},
		},
		{"the last request garbled", changed(three, len(three)-1, '?'), survey{next: 8, end: int64(second), pending: 2, damage: torn}},
		{"the second request garbled", changed(three, first+headerSize, '?'), survey{next: 8, end: int64(first), pending: 1, damage: corrupt}},
		{"the second header garbled", changed(three, first+2, 1), survey{next: 8, end: int64(first), pending: 1, damage: corrupt}},
		{"the second time garbled", changed(three, first+9, 77), survey{next: 8, end: int64(first), pending: 1, damage: corrupt}},
		{"a length beyond all bounds", changed(three, first+7, 0xff), survey{next: 8, end: int64(first), pending: 1, damage: corrupt}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := read(bytes.NewReader(test.segment), int64(len(test.segment)))
			if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// Whatever is on the disk, what is read is what was written, and cutting at the end that was found leaves the same records.
func FuzzReadSegment(f *testing.F) {
	f.Add([]byte{})
	f.Add(segmentOf(0))
	f.Add(segmentOf(1, "one", "two", "three"))
	f.Add(segmentOf(0, "one", "")[:60])
	f.Add(append(segmentOf(0, "one"), make([]byte, 100)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if got.next > got.end || got.end > int64(len(b)) || got.pending < 0 {
			t.Fatalf("%+v of %d bytes", got, len(b))
		}
		if got.damage == whole && got.end != int64(len(b)) {
			t.Fatalf("whole, but %d of %d bytes are left", int64(len(b))-got.end, len(b))
		}
		off, n := got.next, 0
		for ; off < got.end; n++ {
			r, good, err := readRecord(bytes.NewReader(b), off, got.end)
			if err != nil || !good {
				t.Fatalf("record %d at %d of %+v: %v, %v", n, off, got, good, err)
			}
			again := appendRecord(nil, r)
			again[0] = b[off]
			if !bytes.Equal(again, b[off:off+int64(len(again))]) {
				t.Fatalf("record %d is written otherwise than it was read", n)
			}
			off += int64(len(again))
		}
		if n != got.pending {
			t.Fatalf("%d records, said to be %d", n, got.pending)
		}
		if got.end == 0 {
			return
		}
		cut, err := read(bytes.NewReader(b[:got.end]), got.end)
		if want := (survey{next: got.next, end: got.end, pending: got.pending}); err != nil || cut != want {
			t.Fatalf("cut at its end: %+v, %v, want %+v", cut, err, want)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			q, _, err := openQueue(b.TempDir(), osOpen, DefaultMaxBytes)
			if err != nil {
				b.Fatal(err)
			}
			defer q.close()
			r := record{at: time.Now(), request: bytes.Repeat([]byte("request "), size/8)}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := q.append(r, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
