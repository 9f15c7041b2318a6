package alertproc

import (
	"fmt"
	"strings"
)

// query writes the rule's condition in one line, for the page and for reasons:
// quantile(0.99, http.server.request.duration{http.route="/checkout"}, 1m) by (http.route) > 0.5.
func (r *Rule) query() string {
	var b strings.Builder
	switch v := r.Value; {
	case r.Func != nil:
		b.WriteString("func()")
	case r.Burn != nil:
		b.WriteString(r.Burn.query(r.Ratio))
	case r.Absent > 0:
		fmt.Fprintf(&b, "absent(%s, %s)", Selector{r.Metric, r.Where}, shortDuration(r.Absent))
	case r.Ratio != nil:
		fmt.Fprintf(&b, "ratio(%s, %s, %s)", r.Ratio.Bad, r.Ratio.Total, shortDuration(r.Ratio.Over))
	case v.Aggregation == "" || v.Aggregation == Last:
		b.WriteString(Selector{r.Metric, r.Where}.String())
	case v.takesArg():
		fmt.Fprintf(&b, "%s(%s, %s, %s)", v.Aggregation, number(v.Arg), Selector{r.Metric, r.Where}, shortDuration(v.Over))
	default:
		fmt.Fprintf(&b, "%s(%s, %s)", v.Aggregation, Selector{r.Metric, r.Where}, shortDuration(v.Over))
	}
	if len(r.By) > 0 {
		fmt.Fprintf(&b, " by (%s)", strings.Join(r.By, ", "))
	}
	t := r.Warn
	if t == nil {
		t = r.Crit
	}
	if t == nil {
		return b.String()
	}
	if t.Above != nil {
		fmt.Fprintf(&b, " > %s", number(*t.Above))
	} else {
		fmt.Fprintf(&b, " < %s", number(*t.Below))
	}
	return b.String()
}

// String writes the selector as name{attribute="pattern"}.
func (s Selector) String() string {
	if len(s.Where) == 0 {
		return s.Metric
	}
	parts := make([]string, 0, len(s.Where))
	for _, key := range sortedKeys(s.Where) {
		parts = append(parts, fmt.Sprintf("%s=%q", key, s.Where[key]))
	}
	return s.Metric + "{" + strings.Join(parts, ", ") + "}"
}
