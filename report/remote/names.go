package remote

import (
	"slices"
	"strings"

	"github.com/otelnet/agent/report"
)

// unitWords are what the translation from OTLP makes of units in names. Units in braces and "1" add nothing.
var unitWords = map[string]string{"s": "seconds", "ms": "milliseconds", "By": "bytes", "%": "percent"}

// promName is a metric's name as OTLP's translation to Prometheus writes it, without the suffixes of a histogram's series:
// http.server.request.duration in s is http_server_request_duration_seconds. It covers the units that this module uses.
func promName(m report.Metric) string {
	tokens := strings.FieldsFunc(m.Name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == ':')
	})
	if word := unitWords[m.Unit]; word != "" && !slices.Contains(tokens, word) {
		tokens = append(tokens, word)
	}
	if m.Kind == report.Counter {
		tokens = append(slices.DeleteFunc(tokens, func(t string) bool { return t == "total" }), "total")
	}
	if m.Unit == "1" && m.Kind == report.Gauge {
		tokens = append(slices.DeleteFunc(tokens, func(t string) bool { return t == "ratio" }), "ratio")
	}
	return strings.Join(tokens, "_")
}

// promKnown are the metrics that this module records, by the name that Prometheus has for them.
var promKnown = func() map[string]report.Metric {
	all := make(map[string]report.Metric)
	for _, m := range report.Known() {
		m.ID = promName(m)
		all[m.ID] = m
	}
	return all
}()

// promLabel is an attribute's name as a label.
func promLabel(attribute string) string {
	label := []byte(attribute)
	for i, c := range label {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			label[i] = '_'
		}
	}
	if len(label) > 0 && '0' <= label[0] && label[0] <= '9' {
		return "key_" + string(label)
	}
	return string(label)
}

// promMetrics makes metrics of the names in a store. What this module records is found by its translated name and gets its own; of
// other names the suffix tells the kind, and the unit where it has one.
func promMetrics(names []string) []report.Metric {
	has := make(map[string]bool, len(names))
	for _, n := range names {
		has[n] = true
	}
	var out []report.Metric
	seen := make(map[string]bool)
	for _, n := range slices.Sorted(slices.Values(names)) {
		m := promMetric(n, has)
		if m.ID == "" || seen[m.ID] {
			continue
		}
		seen[m.ID] = true
		if known, ok := promKnown[m.ID]; ok && known.Kind == m.Kind {
			m = known
		}
		out = append(out, m)
	}
	return out
}

// promMetric reads one name. The zero Metric means that it is none of its own.
func promMetric(name string, has map[string]bool) report.Metric {
	if strings.Contains(name, ":") { // a recording rule's, by convention: worked out of what is here anyway
		return report.Metric{}
	}
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		base, ok := strings.CutSuffix(name, suffix)
		if !ok {
			continue
		}
		if has[base+"_bucket"] {
			return report.Metric{Name: base, ID: base, Unit: promUnit(base), Kind: report.Histogram}
		}
		if has[base+"_count"] && has[base+"_sum"] { // of a summary or a histogram without buckets
			unit := ""
			if suffix == "_sum" {
				unit = promUnit(base)
			}
			return report.Metric{Name: name, ID: name, Unit: unit, Kind: report.Counter}
		}
	}
	if base, ok := strings.CutSuffix(name, "_total"); ok {
		return report.Metric{Name: name, ID: name, Unit: promUnit(base), Kind: report.Counter}
	}
	if name == "target_info" || name == "ALERTS" || name == "ALERTS_FOR_STATE" {
		return report.Metric{} // about series, and no numbers
	}
	return report.Metric{Name: name, ID: name, Unit: promUnit(name)}
}

func promUnit(name string) string {
	for unit, word := range unitWords {
		if strings.HasSuffix(name, "_"+word) {
			return unit
		}
	}
	return ""
}
