package alertproc

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

var durationUnits = map[string]time.Duration{
	"ns": time.Nanosecond, "us": time.Microsecond, "µs": time.Microsecond, "μs": time.Microsecond,
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour,
	"d": 24 * time.Hour, "w": 7 * 24 * time.Hour, "y": 365 * 24 * time.Hour,
}

// parseDuration reads Go's and Prometheus' way to write durations: 30s, 1m30s, 1.5h, 5m, 1d, 2w. A bare 0 is allowed,
// any other number needs a unit. Negative ones are refused.
func parseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	if s == "" {
		return 0, errors.New("is empty")
	}
	if strings.HasPrefix(s, "-") {
		return 0, errors.New("is negative")
	}
	total := 0.0
	for rest := s; rest != ""; {
		n := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if n < 0 {
			return 0, errors.New("has no unit")
		}
		number, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return 0, errors.New("is not a duration")
		}
		rest = rest[n:]
		n = strings.IndexAny(rest, "0123456789.")
		if n < 0 {
			n = len(rest)
		}
		unit, ok := durationUnits[rest[:n]]
		if !ok {
			return 0, errors.New("has the unknown unit " + strconv.Quote(rest[:n]))
		}
		total += number * float64(unit)
		rest = rest[n:]
	}
	if total >= math.MaxInt64 {
		return 0, errors.New("is too long")
	}
	return time.Duration(math.Round(total)), nil
}

// shortDuration writes d without the zero parts that time.Duration.String keeps: 1m, not 1m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
