package spelling

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	keys := []string{"name", "every", "rules", "alert", "metric", "where", "by", "value", "warn", "crit", "labels", "annotations", "keep_firing_for"}
	for in, want := range map[string]string{"evry": "every", "treshold": "", "lables": "labels", "Warn": "warn", "xyzzy": "", "rule": "rules"} {
		if got := Nearest(in, keys); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "abc", 0},
		{"abc", "abd", 1},
		{"abc", "bac", 1},
		{"abc", "ab", 1},
		{"kitten", "sitting", 3},
		{"OTELNET_ADMIM_ADDR", "OTELNET_ADMIN_ADDR", 1},
		{strings.Repeat("a", 65), strings.Repeat("a", 65), 64},
	} {
		if got := Distance(test.a, test.b); got != test.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
		if got := Distance(test.b, test.a); got != test.want {
			t.Errorf("Distance(%q, %q) = %d, want %d: the other way round", test.b, test.a, got, test.want)
		}
	}
}
