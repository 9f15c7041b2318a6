package otelnet

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The heap keeps the same rows as sorting all of them and cutting would.
func TestTopIsTheStartOfTheSortedWhole(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	rows := make([]ConnInfo, 300)
	for i := range rows {
		rows[i] = ConnInfo{ID: uint64(i + 1), State: "idle", SentBytes: uint64(rnd.IntN(50))} // many are equal
	}
	sorted := slices.Clone(rows)
	slices.SortFunc(sorted, func(a, b ConnInfo) int {
		if a.SentBytes != b.SentBytes {
			return compare(b.SentBytes, a.SentBytes)
		}
		return compare(a.ID, b.ID)
	})
	for _, tt := range []struct{ limit, offset, from, to int }{
		{0, 0, 0, 300},
		{0, 290, 290, 300},
		{10, 0, 0, 10},
		{10, 25, 25, 35},
		{10, 295, 295, 300},
		{10, 1000, 300, 300},
		{1000, 0, 0, 300},
	} {
		order := newTop(Filter{Sort: "-sentBytes", Limit: tt.limit, Offset: tt.offset})
		rnd.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		for _, row := range rows {
			order.offer(&entry{info: row})
		}
		entries, total := order.page()
		got := []ConnInfo{}
		for _, e := range entries {
			got = append(got, e.info)
		}
		if diff := cmp.Diff(sorted[tt.from:tt.to], got); diff != "" {
			t.Errorf("limit %d, offset %d (-want +got):\n%s", tt.limit, tt.offset, diff)
		}
		if total != 300 {
			t.Errorf("limit %d, offset %d: total %d, want 300", tt.limit, tt.offset, total)
		}
	}
}

func TestTopTakesTheLaterRow(t *testing.T) {
	for _, limit := range []int{0, 2} {
		order := newTop(Filter{Sort: "-sentBytes", Limit: limit})
		for _, row := range []ConnInfo{
			{ID: 1, State: "idle", SentBytes: 10},
			{ID: 2, State: "idle", SentBytes: 20},
			{ID: 1, State: "idle", SentBytes: 30}, // met again
			{ID: 2, State: "closed"},              // closed meanwhile
			{ID: 3, State: "idle", SentBytes: 5},
		} {
			order.offer(&entry{info: row})
		}
		rows, total := order.page()
		if len(rows) != 2 || rows[0].info.SentBytes != 30 || rows[1].info.ID != 3 || total != 2 {
			t.Errorf("limit %d: got %d rows of %d, want connection 1 with 30 bytes and connection 3", limit, len(rows), total)
		}
	}
}
