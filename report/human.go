package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// human writes v with about three digits and a unit for people: "41.2 ms", "6.00 MB/s", "0.43 %". unit is UCUM; one in braces is not
// written, and "share" stands for a part of 1.
func human(v float64, unit string) string {
	number, suffix := humanParts(v, unit)
	return number + suffix
}

// humanParts gives number and unit apart; the unit has a space before it if it wants one.
func humanParts(v float64, unit string) (number, suffix string) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "n/a", ""
	}
	base, per, _ := strings.Cut(unit, "/")
	if per != "" {
		per = "/" + per
	}
	switch {
	case base == "share":
		return digits(100 * v), " %" + per
	case base == "%":
		return digits(v), " %" + per
	case base == "s" && per == "/s":
		return digits(v), "" // seconds a second: how many at a time
	case base == "s" && per == "" && math.Abs(v) >= 120:
		return humanSeconds(v), ""
	case base == "s" && (math.Abs(v) >= 1 || v == 0):
		return digits(v), " s" + per
	case base == "s" && math.Abs(v) >= 0.9995e-3:
		return digits(v * 1e3), " ms" + per
	case base == "s":
		return digits(v * 1e6), " µs" + per
	case base == "By":
		n, prefix := scaled(v)
		return n, " " + prefix + "B" + per
	}
	n, prefix := scaled(v)
	switch {
	case strings.HasPrefix(base, "{") || base == "1" || base == "":
		base = ""
	default:
		base = " " + base
	}
	return n + prefix, base + per
}

// scaled divides by a thousand until three digits are left before the point.
func scaled(v float64) (number, prefix string) {
	for _, prefix := range []string{"", "k", "M", "G", "T", "P"} {
		if math.Abs(v) < 999.5 {
			return digits(v), prefix
		}
		v /= 1000
	}
	return strconv.FormatFloat(v, 'g', 3, 64), "E"
}

// digits writes three significant digits, without a tail of zeros behind whole numbers.
func digits(v float64) string {
	a := math.Abs(v)
	switch {
	case v == math.Trunc(v) && a < 1e6:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case a >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.9995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case a >= 0.0001:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(v, 'e', 1, 64)
}

// humanSeconds writes a stretch of time with its two greatest units: "3 h 20 min", "2 min", "45 s".
func humanSeconds(s float64) string {
	d := time.Duration(math.Round(s)) * time.Second
	two := func(a time.Duration, an string, b time.Duration, bn string) string {
		d = d.Round(b)
		if rest := d % a; rest > 0 {
			return fmt.Sprintf("%d %s %d %s", d/a, an, rest/b, bn)
		}
		return fmt.Sprintf("%d %s", d/a, an)
	}
	switch {
	case math.Abs(s) >= 1e9:
		return "more than 30 years"
	case d >= 48*time.Hour:
		return two(24*time.Hour, "d", time.Hour, "h")
	case d >= time.Hour:
		return two(time.Hour, "h", time.Minute, "min")
	case d >= time.Minute:
		return two(time.Minute, "min", time.Second, "s")
	case s >= 1:
		return fmt.Sprintf("%d s", d/time.Second)
	}
	return digits(s) + " s"
}

// signed is human with a plus before what is not negative.
func signed(v float64, unit string) string {
	if v > 0 {
		return "+" + human(v, unit)
	}
	return human(v, unit)
}

// percent writes a change. Above tenfold it says how many times as much it is.
func percent(c Number) string {
	switch {
	case !c.Known():
		return "n/a"
	case c >= 9:
		return "×" + digits(float64(c)+1)
	case math.Abs(float64(c)) < 0.0005:
		return "0 %"
	case math.Abs(float64(c)) < 0.0995:
		return fmt.Sprintf("%+.1f %%", 100*float64(c))
	}
	return fmt.Sprintf("%+.0f %%", 100*float64(c))
}
