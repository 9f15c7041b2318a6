package admin_test

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// Text can be read in light and dark: WCAG 2.2 asks for a contrast of 4.5 (level AA) at this size.
func TestContrast(t *testing.T) {
	source, err := os.ReadFile("page/app.css")
	if err != nil {
		t.Fatal(err)
	}
	themes := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllSubmatch(source, 2)
	if len(themes) != 2 {
		t.Fatalf("app.css has %d themes, want light and dark", len(themes))
	}
	for i, theme := range []string{"light", "dark"} {
		colours := make(map[string]float64)
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`).FindAllSubmatch(themes[i][1], -1) {
			colours[string(m[1])] = luminance(t, string(m[2]))
		}
		for _, pair := range [][2]string{
			{"text", "bg"},
			{"text", "card"},
			{"text", "hover"},
			{"dim", "bg"},
			{"dim", "card"},
			{"dim", "hover"},
			{"faint", "bg"},
			{"faint", "card"},
			{"accent", "card"},
			{"accent", "bg"},
			{"accent", "crit-bg"},
			{"accent", "warn-bg"},
			{"card", "accent"},
			{"crit", "crit-bg"},
			{"crit", "card"},
			{"warn", "warn-bg"},
			{"warn", "card"},
			{"ok", "ok-bg"},
			{"ok", "card"},
			{"dim", "crit-bg"},
			{"dim", "warn-bg"},
		} {
			a, okA := colours[pair[0]]
			b, okB := colours[pair[1]]
			if got := (max(a, b) + 0.05) / (min(a, b) + 0.05); !okA || !okB || got < 4.5 {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want 4.5", theme, pair[0], pair[1], got)
			}
		}
	}
}

// luminance is the relative luminance of WCAG 2.2.
func luminance(t *testing.T, hex string) (sum float64) {
	t.Helper()
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		v := float64(n) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}
