package alertproc

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/internal/spelling"
)

// unknownAfter is how long after a load a metric may be missing before it is warned of. Many are recorded for the first
// time some while after a service's start.
const unknownAfter = time.Minute

// overflowAttribute marks the series into which the SDK puts what is beyond the cardinality limit.
const overflowAttribute = "otel.metric.overflow"

// warnings returns what the person who wrote the rules should know, each once.
func (e *engine) warnings(rm *metricdata.ResourceMetrics, now int64) []error {
	all := e.overflows
	e.overflows = nil
	if e.allKnown {
		return all
	}
	if e.loaded < 0 {
		e.loaded = now
	}
	e.allKnown = true
	var names []string
	for _, name := range sortedKeys(e.instruments) {
		in := e.instruments[name]
		if in.seen || in.warned || slices.Contains(e.known, name) {
			continue
		}
		if names == nil {
			names = append(collected(rm), e.known...)
		}
		meant := misspelt(name, names)
		if meant == "" && now-e.loaded < int64(unknownAfter) {
			e.allKnown = false
			continue
		}
		in.warned = true
		hint := ""
		if meant = cmp.Or(meant, spelling.Nearest(name, names)); meant != "" {
			hint = fmt.Sprintf("; did you mean %q?", meant)
		}
		all = append(all, fmt.Errorf("alertproc: %s: the metric %q is unknown: it is in no snapshot yet%s", in.rules(), name, hint))
	}
	return all
}

// collected lists the names in a snapshot.
func collected(rm *metricdata.ResourceMetrics) (names []string) {
	for i := range rm.ScopeMetrics {
		for j := range rm.ScopeMetrics[i].Metrics {
			names = append(names, rm.ScopeMetrics[i].Metrics[j].Name)
		}
	}
	return names
}

// misspelt returns the name that is surely meant: one with a slip of the pen in it, or written as Prometheus has it.
func misspelt(name string, names []string) string {
	for _, n := range names {
		if spelling.Distance(name, n) <= 2 || underscored(name) == name && strings.HasPrefix(name, underscored(n)) {
			return n
		}
	}
	return ""
}

// rules names those that ask for the metric.
func (in *instrument) rules() string {
	const enough = 3
	var names []string
	for _, sel := range in.uses.all {
		if name := fmt.Sprintf("%q", sel.rule.Alert); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 1 {
		return "rule " + names[0]
	}
	if more := len(names) - enough; more > 0 {
		names = append(names[:enough], fmt.Sprintf("and %d more", more))
	}
	return "rules " + strings.Join(names, ", ")
}

// overflow notes that the SDK has given up telling the metric's series apart.
func (e *engine) overflow(in *instrument) {
	if !in.overflowed {
		in.overflowed = true
		e.overflows = append(e.overflows, fmt.Errorf("alertproc: %s: %s has more series than the SDK's cardinality limit: "+
			"the rest are one series with %s, which rules see as one of its own", in.rules(), in.name, overflowAttribute))
	}
}

// Unknown returns a warning for each metric of the rules that is not in cfg.Known, with the file and line where it can
// be told and the nearest name. It may be one that the service records itself.
func Unknown(cfg Config) []string {
	var all []string
	ask := func(path, rule, metric string) {
		if metric == "" || slices.Contains(cfg.Known, metric) || metric == metricState || strings.HasPrefix(metric, "otelnet.agent.") {
			return
		}
		where, hint := "", ""
		if cfg.positions != nil {
			where = fmt.Sprintf("%s:%d: ", cfg.positions.file, cfg.positions.lineOf(path))
		}
		if n := cmp.Or(misspelt(metric, cfg.Known), spelling.Nearest(metric, cfg.Known)); n != "" {
			hint = fmt.Sprintf("; did you mean %q?", n)
		}
		all = append(all, fmt.Sprintf("%srule %q: unknown metric %q%s", where, rule, metric, hint))
	}
	for i, g := range cfg.Groups {
		for j, r := range g.Rules {
			path := fmt.Sprintf("groups[%d].rules[%d]", i, j)
			ask(path+".metric", r.Alert, r.Metric)
			if r.Ratio != nil {
				ask(path+".ratio.bad.metric", r.Alert, r.Ratio.Bad.Metric)
				if r.Ratio.Total.Metric != r.Ratio.Bad.Metric {
					ask(path+".ratio.total.metric", r.Alert, r.Ratio.Total.Metric)
				}
			}
		}
	}
	return all
}
