package alertproc

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

// captures lists the evidence a rule may ask for.
var captures = []string{"trace", "cpu", "heap", "goroutine", "mutex", "goroutineleak"}

// maxMatch is how many evaluations a level remembers.
const maxMatch = 64

// instrumentName is the OpenTelemetry API's syntax for instrument names.
var instrumentName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.\-/]{0,254}$`)

// checker gathers the mistakes of a Config in the order in which a reader meets them.
type checker struct {
	problems []problem
}

func (c *checker) fail(path, format string, args ...any) {
	c.problems = append(c.problems, problem{path: path, text: fmt.Sprintf(format, args...)})
}

// missing reports that the mapping at path lacks something.
func (c *checker) missing(path, format string, args ...any) {
	c.problems = append(c.problems, problem{path: path, text: fmt.Sprintf(format, args...), missing: true})
}

// check returns every mistake in what cfg means.
func check(cfg Config) []problem {
	var c checker
	groups := map[string]bool{}
	alerts := map[string]string{}
	for i, g := range cfg.Groups {
		path := fmt.Sprintf("groups[%d]", i)
		switch {
		case g.Name == "":
			c.missing(path, "a group needs a name")
		case groups[g.Name]:
			c.fail(path+".name", "duplicate group %q", g.Name)
		}
		groups[g.Name] = true
		if g.Every < 0 {
			c.fail(path+".every", "every is negative: %s", g.Every)
		}
		for j, r := range g.Rules {
			path := fmt.Sprintf("%s.rules[%d]", path, j)
			if first, ok := alerts[r.Alert]; ok && r.Alert != "" {
				c.fail(path+".alert", "duplicate alert %q: %s has it already, and names must be unique", r.Alert, first)
			} else {
				alerts[r.Alert] = fmt.Sprintf("group %q", g.Name)
			}
			c.rule(path, g, r)
		}
	}
	for i, n := range cfg.Notify {
		c.notify(fmt.Sprintf("notify[%d]", i), n)
	}
	if cfg.MaxInstances < 0 {
		c.fail("", "MaxInstances is negative: %d", cfg.MaxInstances)
	}
	return c.problems
}

func (c *checker) rule(path string, g Group, r Rule) {
	name := fmt.Sprintf("rule %q", r.Alert)
	if r.Alert == "" {
		name = "a rule"
		c.missing(path, "a rule needs a name: alert")
	}
	c.source(path, name, g, r)
	c.thresholds(path, name, r)
	if r.For < 0 {
		c.fail(path+".for", "%s: for is negative: %s", name, r.For)
	}
	if m := r.Match; m != (Match{}) {
		switch {
		case r.For != 0:
			c.fail(path+".match", "%s: match and for are two ways to wait, want one of them", name)
		case m.N < 1 || m.Of < m.N || m.Of > maxMatch:
			c.fail(path+".match", "%s: match %d/%d: want at least 1 of at most %d evaluations", name, m.N, m.Of, maxMatch)
		}
	}
	if r.MaxInstances < 0 {
		c.fail(path+".max_instances", "%s: max_instances is negative: %d", name, r.MaxInstances)
	}
	if r.KeepFiringFor < 0 {
		c.fail(path+".keep_firing_for", "%s: keep_firing_for is negative: %s", name, r.KeepFiringFor)
	}
	switch r.NoData {
	case "", NoDataKeep:
		if r.After != 0 {
			c.fail(path+".after", "%s: after goes with no_data: resolve or no_data: fire; keep has no end", name)
		}
	case NoDataResolve, NoDataFire:
		if r.After < 0 {
			c.fail(path+".after", "%s: after is negative: %s", name, r.After)
		}
	default:
		c.fail(path+".no_data", "%s: unknown no_data %q; %s", name, r.NoData,
			didYouMean(string(r.NoData), []string{string(NoDataKeep), string(NoDataResolve), string(NoDataFire)}))
	}
	for _, key := range sortedKeys(r.Labels) {
		at := path + ".labels." + key
		switch {
		case key == "":
			c.fail(at, "%s: a label has an empty name", name)
		case key == "alertname":
			c.fail(at, "%s: the label alertname is the rule's name already", name)
		case key == "severity":
			c.fail(at, "%s: the label severity is set by warn and crit; use another name for a label of your own", name)
		}
		c.template(at, name, "label", key, r.Labels[key])
	}
	for _, key := range sortedKeys(r.Annotations) {
		c.template(path+".annotations."+key, name, "annotation", key, r.Annotations[key])
	}
	for i, what := range r.Capture {
		at := fmt.Sprintf("%s.capture[%d]", path, i)
		if !slices.Contains(captures, what) {
			c.fail(at, "%s: unknown capture %q; %s", name, what, didYouMean(what, captures))
		} else if slices.Contains(r.Capture[:i], what) {
			c.fail(at, "%s: capture lists %q twice", name, what)
		}
	}
}

// source checks what is measured.
func (c *checker) source(path, name string, g Group, r Rule) {
	var sources []string
	if r.Metric != "" {
		sources = append(sources, "metric")
	}
	if r.Ratio != nil {
		sources = append(sources, "ratio")
	}
	if r.Func != nil {
		sources = append(sources, "Func")
	}
	switch {
	case len(sources) == 0:
		c.missing(path, "%s needs metric or ratio", name)
		return
	case len(sources) > 1:
		c.fail(path, "%s has %s, want one of them", name, strings.Join(sources, " and "))
		return
	}
	if !(r.MinCount >= 0) || math.IsInf(r.MinCount, 0) {
		c.fail(path+".min_count", "%s: min_count %g is not a count", name, r.MinCount)
	}
	for i, attr := range r.By {
		at := fmt.Sprintf("%s.by[%d]", path, i)
		switch {
		case attr == "":
			c.fail(at, "%s: by has an empty attribute name", name)
		case attr == "alertname" || attr == "severity":
			c.fail(at, "%s: the label %s of an alert is set by the rule, so by cannot tell its instances apart by an attribute of that name", name, attr)
		case slices.Contains(r.By[:i], attr):
			c.fail(at, "%s: by lists %q twice", name, attr)
		}
	}
	switch {
	case r.Func != nil:
		if r.Where != nil || r.By != nil || r.Value != (Value{}) || r.MinCount != 0 {
			c.fail(path, "%s: Where, By, Value and MinCount have no meaning beside Func", name)
		}
	case r.Ratio != nil:
		if r.Value != (Value{}) {
			c.fail(path+".value", "%s: value has no meaning beside ratio; the window is over", name)
		}
		if r.Where != nil {
			c.fail(path+".where", "%s: where stands inside bad and total of a ratio", name)
		}
		if r.MinCount != 0 {
			c.fail(path+".min_count", "%s: with ratio, write min_total", name)
		}
		c.selector(path+".ratio.bad", name, r.Ratio.Bad)
		c.selector(path+".ratio.total", name, r.Ratio.Total)
		switch {
		case r.Burn == nil:
			c.over(path, path+".over", name, g, r.Ratio.Over)
		case r.Ratio.Over != 0:
			c.fail(path+".over", "%s: burn has windows of its own; over has no meaning beside it", name)
		}
		if !(r.Ratio.MinTotal >= 0) || math.IsInf(r.Ratio.MinTotal, 0) {
			c.fail(path+".min_total", "%s: min_total %g is not a count", name, r.Ratio.MinTotal)
		}
	case r.Absent != 0:
		if r.Value != (Value{}) || r.MinCount != 0 {
			c.fail(path+".absent", "%s: value and min_count have no meaning beside absent", name)
		}
		c.selector(path, name, Selector{Metric: r.Metric, Where: r.Where})
	default:
		c.selector(path, name, Selector{Metric: r.Metric, Where: r.Where})
		c.value(path+".value", name, g, r.Value)
	}
}

func (c *checker) selector(path, name string, s Selector) {
	if s.Metric == "" {
		c.missing(path, "%s: %s needs a metric", name, last(path))
	} else if !instrumentName.MatchString(s.Metric) {
		c.fail(path+".metric", "%s: %q is not a metric name: a letter, then letters, digits, _ . - /", name, s.Metric)
	}
	for _, attr := range sortedKeys(s.Where) {
		at := path + ".where." + attr
		if attr == "" {
			c.fail(at, "%s: where has an empty attribute name", name)
		}
		if _, err := parsePattern(s.Where[attr]); err != nil {
			c.fail(at, "%s: where %s: %s", name, attr, err)
		}
	}
}

func (c *checker) value(path, name string, g Group, v Value) {
	switch v.Aggregation {
	case "", Last:
		if v.Over != 0 {
			// Told as a missing aggregation, since {over: 1m} and a misspelt name end here too.
			c.missing(path, "%s: last takes no window (over); %s", name, didYouMean("", aggregations))
		}
		return
	case Rate, Increase, Mean, Min, Max:
	case Quantile:
		if !(v.Arg >= 0 && v.Arg <= 1) {
			hint := ""
			if v.Arg > 1 && v.Arg <= 100 {
				hint = fmt.Sprintf(" (for p%g write %g)", v.Arg, v.Arg/100)
			}
			c.fail(path+".quantile", "%s: quantile %g is not between 0 and 1%s", name, v.Arg, hint)
		}
	case FractionAbove:
		if math.IsNaN(v.Arg) || math.IsInf(v.Arg, 0) {
			c.fail(path+".fraction_above", "%s: fraction_above %g is not a bound", name, v.Arg)
		}
	default:
		c.fail(path, "%s: unknown aggregation %q; %s", name, v.Aggregation, didYouMean(string(v.Aggregation), aggregations))
		return
	}
	c.over(path, path+".over", name, g, v.Over)
}

func (c *checker) over(path, at, name string, g Group, over time.Duration) {
	switch every := g.interval(); {
	case over == 0:
		c.missing(path, "%s needs a window: over", name)
	case over < 0:
		c.fail(at, "%s: over is negative: %s", name, over)
	case over < every && every > 0:
		c.fail(at, "%s: over %s is shorter than the group's interval of %s", name, shortDuration(over), shortDuration(every))
	}
}

func (c *checker) thresholds(path, name string, r Rule) {
	if r.Burn != nil || r.Absent != 0 {
		c.withoutThresholds(path, name, r)
		return
	}
	if r.Warn == nil && r.Crit == nil {
		c.missing(path, "%s needs a threshold: warn or crit", name)
		return
	}
	ok := true
	for level, t := range []*Threshold{r.Warn, r.Crit} {
		if t != nil && !c.threshold(path+"."+levelNames[level], name, *t, r) {
			ok = false
		}
	}
	if r.Warn == nil || r.Crit == nil || !ok {
		return
	}
	w, k := r.Warn, r.Crit
	if (w.Above == nil) != (k.Above == nil) {
		c.fail(path+".crit", "%s: warn and crit look in opposite directions, one above and one below", name)
		return
	}
	beyond, word := k.bound() > w.bound(), "above"
	clearsFirst := k.clear() >= w.clear()
	if w.Below != nil {
		beyond, word = k.bound() < w.bound(), "below"
		clearsFirst = k.clear() <= w.clear()
	}
	switch {
	case !beyond:
		c.fail(path+".crit."+word, "%s: crit %s %g is not beyond warn %s %g", name, word, k.bound(), word, w.bound())
	case !clearsFirst:
		c.fail(path+".crit.clear", "%s: crit clears at %g, beyond warn, which clears at %g", name, k.clear(), w.clear())
	}
}

// withoutThresholds checks a rule that has bounds of its own.
func (c *checker) withoutThresholds(path, name string, r Rule) {
	key := "absent"
	if r.Burn != nil {
		key = "burn"
		if !(r.Burn.Objective > 0 && r.Burn.Objective < 100) {
			c.fail(path+".objective", "%s: objective %g is not between 0 and 100 percent", name, r.Burn.Objective)
		}
		if r.Burn.Period != 0 && r.Burn.Period < 72*time.Hour {
			c.fail(path+".period", "%s: period %s is shorter than the longest window of 3d", name, shortDuration(r.Burn.Period))
		}
		if r.Ratio == nil {
			c.missing(path, "%s: burn needs a ratio", name)
		}
	}
	if r.Warn != nil || r.Crit != nil {
		c.fail(path+"."+key, "%s: %s has bounds of its own; warn and crit have no meaning beside it", name, key)
	}
	if r.Absent != 0 {
		if r.Burn != nil || r.Metric == "" {
			c.fail(path+".absent", "%s: absent goes with metric alone", name)
		}
		if r.Absent < 0 {
			c.fail(path+".absent", "%s: absent is negative: %s", name, r.Absent)
		}
		if r.NoData != "" || r.After != 0 || r.For != 0 || r.Match != (Match{}) {
			c.fail(path+".absent", "%s: absent says how long to wait; no_data, after, for and match have no meaning beside it", name)
		}
	}
}

// threshold checks one level. It is true if the level can be compared with the other.
func (c *checker) threshold(path, name string, t Threshold, r Rule) bool {
	level := last(path)
	for _, v := range []*float64{t.Above, t.Below, t.Clear} {
		if v != nil && (math.IsNaN(*v) || math.IsInf(*v, 0)) {
			c.fail(path, "%s: %s has %g, want a finite number", name, level, *v)
			return false
		}
	}
	// Counts, rates and shares are never below 0, and a share of observations is never above 1.
	countable := r.Ratio != nil || r.Value.Aggregation == Rate || r.Value.Aggregation == Increase ||
		r.Value.Aggregation == FractionAbove
	switch {
	case t.Above != nil && t.Below != nil:
		c.fail(path, "%s: %s has both above and below, want one", name, level)
		return false
	case t.Above == nil && t.Below == nil:
		c.missing(path, "%s: %s needs above or below", name, level)
		return false
	case t.Above != nil && t.Clear != nil && *t.Clear > *t.Above:
		c.fail(path+".clear", "%s: %s clears at %g, which is above its bound %g; it must be at or below it",
			name, level, *t.Clear, *t.Above)
	case t.Below != nil && t.Clear != nil && *t.Clear < *t.Below:
		c.fail(path+".clear", "%s: %s clears at %g, which is below its bound %g; it must be at or above it",
			name, level, *t.Clear, *t.Below)
	case t.Above != nil && *t.Above >= 1 && r.Value.Aggregation == FractionAbove:
		c.fail(path+".above", "%s: a fraction is never above %g; %s can never be crossed", name, *t.Above, level)
	case t.Below != nil && *t.Below <= 0 && countable:
		c.fail(path+".below", "%s: a count is never below %g; %s can never be crossed", name, *t.Below, level)
	}
	return true
}

func (c *checker) template(path, name, kind, key, text string) {
	if _, err := parseText(key, text); err != nil {
		c.fail(path, "%s: %s %s: %s", name, kind, key, err)
	}
}
