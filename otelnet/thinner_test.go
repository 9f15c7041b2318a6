package otelnet

import "testing"

func TestThinner(t *testing.T) {
	var th thinner
	passed := func(now int64, events int) (n int) {
		for range events {
			if th.pass(now) {
				n++
			}
		}
		return n
	}
	const second = 1e9
	for _, tt := range []struct {
		name         string
		now          int64
		events, want int
	}{
		{"a quiet second", 7 * second, 100, 100},
		{"more in the same second", 7*second + 1, 3200, 100},
		{"the next second", 8 * second, 3300, 200},
		{"a quiet one again", 9 * second, 3, 3},
	} {
		if got := passed(tt.now, tt.events); got != tt.want {
			t.Errorf("%s: %d of %d passed, want %d", tt.name, got, tt.events, tt.want)
		}
	}
}
