package alertproc

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// functions are what templates can call besides those of package text/template, printf among them. The names and the
// forms follow Prometheus' templates.
var functions = template.FuncMap{
	"humanize":           humanize,
	"humanizeBytes":      humanizeBytes,
	"humanizeDuration":   humanizeDuration,
	"humanizePercentage": humanizePercentage,
	"toLower":            strings.ToLower,
	"toUpper":            strings.ToUpper,
}

// humanize writes v with a metric prefix and four digits: 1234567 as 1.235M.
func humanize(v float64) string {
	return prefixed(v, 1000, "kMGTPEZY", "munpfazy")
}

// humanizeBytes writes v with a binary prefix: 1048576 as 1Mi.
func humanizeBytes(v float64) string {
	if special(v) || math.Abs(v) < 1 {
		return fmt.Sprintf("%.4g", v)
	}
	prefix := ""
	for _, p := range []string{"Ki", "Mi", "Gi", "Ti", "Pi", "Ei"} {
		if math.Abs(v) < 1024 {
			break
		}
		prefix = p
		v /= 1024
	}
	return fmt.Sprintf("%.4g%s", v, prefix)
}

func prefixed(v, step float64, large, small string) string {
	if special(v) {
		return fmt.Sprintf("%.4g", v)
	}
	prefix := ""
	if math.Abs(v) >= 1 {
		for _, p := range large {
			if math.Abs(v) < step {
				break
			}
			prefix = string(p)
			v /= step
		}
	} else {
		for _, p := range small {
			if math.Abs(v) >= 1 {
				break
			}
			prefix = string(p)
			v *= step
		}
	}
	return fmt.Sprintf("%.4g%s", v, prefix)
}

// humanizeDuration writes v seconds: 0.25 as 250ms, 3725 as 1h 2m 5s.
func humanizeDuration(v float64) string {
	if v != 0 && special(v) {
		return fmt.Sprintf("%.4g", v)
	}
	if math.Abs(v) < 1 {
		return prefixed(v, 1000, "", "munp") + "s"
	}
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	if v > math.MaxInt64/float64(time.Second) {
		return sign + fmt.Sprintf("%.4gs", v)
	}
	if v < 60 {
		return sign + fmt.Sprintf("%.4gs", v)
	}
	seconds := int64(v)
	days, hours, minutes := seconds/86400, seconds/3600%24, seconds/60%60
	seconds %= 60
	switch {
	case days > 0:
		return fmt.Sprintf("%s%dd %dh %dm %ds", sign, days, hours, minutes, seconds)
	case hours > 0:
		return fmt.Sprintf("%s%dh %dm %ds", sign, hours, minutes, seconds)
	default:
		return fmt.Sprintf("%s%dm %ds", sign, minutes, seconds)
	}
}

// humanizePercentage writes a share of 1 in per cent: 0.0314 as 3.14%.
func humanizePercentage(v float64) string {
	return fmt.Sprintf("%.4g%%", v*100)
}

// special tells the values that have no prefix.
func special(v float64) bool { return v == 0 || math.IsNaN(v) || math.IsInf(v, 0) }

// number writes v as short as it can be told from its neighbours, for queries and reasons.
func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// rounded writes v for a person who reads a reason: four digits.
func rounded(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
