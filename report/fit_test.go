package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// The values of a printed table of Student's t, two-sided 95 %.
func TestStudentT(t *testing.T) {
	for df, want := range map[float64]float64{4: 2.776, 5: 2.571, 8: 2.306, 10: 2.228, 20: 2.086, 30: 2.042, 60: 2.000, 120: 1.980, 1e9: 1.960} {
		if got := studentT(0.95, df); math.Abs(got-want) > 0.001 {
			t.Errorf("%g degrees: got %.4f, want %.3f", df, got, want)
		}
	}
}

// Anscombe's first set: a textbook's line with known slope, intercept, R² and residual variance.
func TestFitIsTheTextbooks(t *testing.T) {
	x := []float64{10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5}
	y := []float64{8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68}
	var f fit
	for i := range x {
		f.add(x[i], y[i], 3) // equal weights do not matter
	}
	for _, c := range []struct {
		what      string
		got, want float64
	}{{"slope", f.slope(), 0.50009}, {"at 0", f.at(0), 3.00009}, {"R²", f.r2(), 0.66654}} {
		if math.Abs(c.got-c.want) > 1e-5 {
			t.Errorf("%s: got %g, want %g", c.what, c.got, c.want)
		}
	}
}

func points(n int, value func(i int) float64) []Number {
	p := make([]Number, n)
	for i := range p {
		p[i] = Number(value(i))
	}
	return p
}

// Where a line is not what the numbers are, nothing is said.
func TestNoForecastWithoutALine(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := func() float64 { return rng.NormFloat64() }
	walk := 0.0
	for _, tc := range []struct {
		name  string
		value func(i int) float64
		n     int
	}{
		{"noise", func(int) float64 { return 100 + 10*noise() }, 60},
		{"flat", func(int) float64 { return 100 }, 60},
		{"hardly rising", func(i int) float64 { return 1000 + 0.1*float64(i) }, 60},
		{"step in the middle", func(i int) float64 { return 100 + 100*float64(i/30) + noise() }, 60},
		{"step at a quarter", func(i int) float64 { return 100 + 100*float64(min(1, i/15)) + noise() }, 60},
		{"step at the end", func(i int) float64 { return 100 + 100*float64(i/55) + noise() }, 60},
		{"two steps", func(i int) float64 { return 100 + 100*float64(i/20) + noise() }, 60},
		{"flat, then rising", func(i int) float64 { return 100 + 5*float64(max(0, i-30)) + noise() }, 60},
		{"rising, then flat", func(i int) float64 { return 100 + 5*float64(min(30, i)) + noise() }, 60},
		{"hill", func(i int) float64 { return 100 + 5*float64(min(i, 60-i)) }, 60},
		{"exponential", func(i int) float64 { return math.Exp(float64(i) / 8) }, 60},
		{"sawtooth", func(i int) float64 { return 100 + float64(i%20) }, 60},
		{"day", func(i int) float64 { return 100 + 50*math.Sin(float64(i)/60*2*math.Pi) }, 60},
		{"short", func(i int) float64 { return 100 + float64(10*i) }, 19},
		{"half of it missing", func(i int) float64 {
			if i%2 == 0 {
				return math.NaN()
			}
			return 100 + float64(10*i)
		}, 60},
		{"rises little in much noise", func(i int) float64 { return 100 + 0.5*float64(i) + 20*noise() }, 60},
		{"random walk down and up", func(i int) float64 { walk += noise() * 3; return 100 + walk - 0.1*float64((i-30)*(i-30)) }, 60},
		{"nothing", func(int) float64 { return math.NaN() }, 60},
		{"zero", func(int) float64 { return 0 }, 60},
	} {
		if f, ok := follow(points(tc.n, tc.value), 1./60); ok {
			t.Errorf("%s: slope %g, R² %.3f, %.1f effective points: want no forecast", tc.name, f.slope(), f.r2(), f.eff)
		}
	}
}

// Lines with independent noise: nearly always followed, and the value an hour later lies within its 95 % interval as often as that
// says. So does the moment at which a limit is passed.
func TestIntervalsHoldWhatTheySay(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const runs = 4000
	said, held, limited, reached := 0, 0, 0, 0
	for range runs {
		slope, sigma := 15+20*rng.Float64(), 0.5+rng.Float64() // an hour; the hour's rise is ten times the noise and more
		level := func(x float64) float64 { return 100 + slope*x }
		p := points(60, func(i int) float64 { return level((float64(i)+0.5)/60) + sigma*rng.NormFloat64() })
		f, ok := follow(p, 1./60)
		if !ok {
			continue
		}
		said++
		low, high := f.interval(2)
		if v := level(2) + sigma*rng.NormFloat64(); low <= v && v <= high {
			held++
		}
		limit := level(3.5)
		if soonest, latest, ok := f.reaches(limit, 1, 11); ok {
			limited++
			if soonest <= 3.5 && 3.5 <= latest {
				reached++
			}
		}
	}
	if said < runs*95/100 || limited < said*95/100 {
		t.Errorf("%d of %d lines followed, %d to their limit: want nearly all", said, runs, limited)
	}
	if share := float64(held) / float64(said); share < 0.94 || share > 0.97 {
		t.Errorf("the interval held %.1f %% of the values, want 95 %%", 100*share)
	}
	if share := float64(reached) / float64(limited); share < 0.95 {
		t.Errorf("the limit was passed within the times said in %.1f %%, want at least 95 %%", 100*share)
	}
}

func TestExactLineIsFollowed(t *testing.T) {
	if f, ok := follow(points(60, func(i int) float64 { return 1e8/3 + 1e6*float64(i)/7 }), 1./60); !ok || math.Abs(f.slope()-60e6/7) > 1 {
		t.Errorf("got %+v, %v", f, ok)
	}
}

// Neighbours that err alike count for less, so the interval gets wider: the same spread with residuals that wander.
func TestLikeNeighboursWidenTheInterval(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	width := func(keep float64) float64 {
		total, n := 0.0, 0
		for range 300 {
			r := 0.0
			p := points(60, func(i int) float64 {
				r = keep*r + math.Sqrt(1-keep*keep)*rng.NormFloat64() // always of variance 1
				return 100 + 20*float64(i)/60 + r
			})
			if f, ok := follow(p, 1./60); ok {
				low, high := f.interval(4)
				total += high - low
				n++
			}
		}
		if n < 100 {
			t.Fatalf("only %d of 300 were followed", n)
		}
		return total / float64(n)
	}
	if alone, alike := width(0), width(0.5); alike < 1.3*alone {
		t.Errorf("width %.2f with like neighbours, %.2f without: want clearly more", alike, alone)
	}
}

// A heap that grows by 250 MB/h from 1 GB is to meet a limit of 2 GB in 3 h from the range's end at 1.25 GB.
func TestForecastNamesItsLimit(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	row := &Row{Metric: "otelnet.go.memory.heap.live", Label: "Heap live", Unit: "By", Min: 1e9}
	row.Points.Avg = points(60, func(i int) float64 { return 1e9 + 250e6*(float64(i)+0.5)/60 + 4e6*rng.NormFloat64() })
	name, limit := limitFor(row.Metric, map[string]float64{"go.memory.limit": math.MaxInt64, "otelnet.container.memory.limit": 2e9})
	until := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	f, ok := forecast(row, 1./60, until, name, limit)
	if !ok || f.LimitMetric != "otelnet.container.memory.limit" {
		t.Fatalf("got %+v, %v", f, ok)
	}
	if !(f.Soonest < 3*3600 && 3*3600 < f.Latest && f.Latest-f.Soonest < 1800) {
		t.Errorf("between %.0f s and %.0f s, want about 3 h", f.Soonest, f.Latest)
	}
	want := fmt.Sprintf("Heap live grows by %s/h and reaches its limit of 2 GB in %s to %s", human(float64(f.Slope), "By"), humanSeconds(float64(f.Soonest)), humanSeconds(float64(f.Latest)))
	if f.Text != want {
		t.Errorf("got %q, want %q", f.Text, want)
	}
}

func TestHuman(t *testing.T) {
	for _, tc := range []struct {
		v    float64
		unit string
		want string
	}{
		{0.0412, "s", "41.2 ms"},
		{1.31, "s", "1.31 s"},
		{0.000018, "s", "18 µs"},
		{250, "s", "4 min 10 s"},
		{0, "s", "0 s"},
		{0.0009999, "s", "1.00 ms"},
		{0.0043, "share", "0.43 %"},
		{0, "share", "0 %"},
		{1, "share", "100 %"},
		{100, "%", "100 %"},
		{6.0e6, "By/s", "6 MB/s"},
		{904880, "By/s", "905 kB/s"},
		{999.6, "By", "1.00 kB"},
		{2e21, "By", "2e+03 EB"},
		{1107, "{request}/s", "1.11k/s"},
		{485, "{connection}", "485"},
		{0.0577, "s/s", "0.0577"},
		{-12.5, "", "-12.5"},
		{math.NaN(), "s", "n/a"},
		{math.Inf(1), "", "n/a"},
		{2.25, "", "2.25"},
		{3, "V", "3 V"},
		{1e-7, "", "1.0e-07"},
	} {
		if got := human(tc.v, tc.unit); got != tc.want {
			t.Errorf("human(%g, %q) = %q, want %q", tc.v, tc.unit, got, tc.want)
		}
	}
	for s, want := range map[float64]string{12000: "3 h 20 min", 14400: "4 h", 120: "2 min", 119.6: "2 min", 59.7: "1 min", 45: "45 s", 0.25: "0.25 s", 200000: "2 d 8 h", 1e12: "more than 30 years", 3599: "59 min 59 s"} {
		if got := humanSeconds(s); got != want {
			t.Errorf("humanSeconds(%g) = %q, want %q", s, got, want)
		}
	}
	for c, want := range map[Number]string{0.29: "+29 %", -0.001: "-0.1 %", 0.0001: "0 %", 12: "×13", -1: "-100 %", 0.055: "+5.5 %"} {
		if got := percent(c); got != want {
			t.Errorf("percent(%g) = %q, want %q", c, got, want)
		}
	}
}

// The arithmetic of Prometheus' histogram_quantile for classic buckets, by hand.
func TestQuantile(t *testing.T) {
	bounds := []float64{1, 2, 4}
	for _, tc := range []struct {
		q      float64
		counts []float64
		want   float64
	}{
		{0.5, []float64{10, 0, 0, 0}, 0.5},
		{0.5, []float64{5, 5, 0, 0}, 1},
		{0.75, []float64{5, 5, 0, 0}, 1.5},
		{0.99, []float64{0, 0, 0, 3}, 4},
		{0.9, []float64{0, 0, 10, 0}, 3.8},
		{0.5, []float64{0, 0, 0, 0}, math.NaN()},
	} {
		if got := quantile(tc.q, bounds, tc.counts); got != tc.want && !(math.IsNaN(got) && math.IsNaN(tc.want)) {
			t.Errorf("quantile(%g, %v) = %g, want %g", tc.q, tc.counts, got, tc.want)
		}
	}
	if got := above(3, bounds, []float64{1, 2, 4, 8}); got != 2+8 {
		t.Errorf("above(3) = %g, want 10: half of the third bucket and all of the last", got)
	}
}

// Three equal numbers have an average that differs from them in the last digit.
func TestBarsOfEqualNumbers(t *testing.T) {
	for _, v := range []Number{0.1, 1.0 / 3, 1e300} {
		column := points(96, func(int) float64 { return float64(v) })
		column[5] = Number(math.Nextafter(float64(v), 2e300))
		if got := bars(column, 24); len([]rune(got)) != 24 {
			t.Errorf("got %q", got)
		}
	}
}
