package alertproc

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxFileBytes and maxRules bound what one rules file may ask for.
const (
	maxFileBytes = 1 << 20
	maxRules     = 10_000
)

var (
	fileKeys  = []string{"groups", "notify"}
	groupKeys = []string{"name", "every", "rules"}
	ruleKeys  = []string{
		"alert", "metric", "where", "by", "value", "ratio", "over", "min_count", "min_total", "warn", "crit", "for", "match",
		"keep_firing_for", "no_data", "after", "labels", "annotations", "capture", "slo", "objective", "period", "burn", "absent",
		"max_instances",
	}
	thresholdKeys = []string{"above", "below", "clear"}
	selectorKeys  = []string{"metric", "where"}
	notifyPlaces  = []string{"log", "webhook", "alertmanager"}
	notifyKeys    = append(slices.Clone(notifyPlaces), "delay")
	delayKeys     = []string{"up", "down", "multiplier", "max"}
	aggregations  = []string{
		string(Last), string(Rate), string(Increase), string(Mean), string(Min), string(Max), string(Quantile),
		string(FractionAbove),
	}
)

// LoadFile reads rules from the YAML file at path. See Load.
func LoadFile(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("alertproc: %w", err)
	}
	defer f.Close()
	return Load(path, f)
}

// Load reads rules in YAML from r; name is what errors and Group.File call it. docs/alerting.md describes the keys.
//
// Every mistake is reported, not only the first: the error joins them, each with its file and line, what is allowed,
// and the nearest right word. What the values mean is checked too, so a Config from Load is accepted by New unless
// it is changed in between.
func Load(name string, r io.Reader) (Config, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err != nil {
		return Config{}, fmt.Errorf("alertproc: read %s: %w", name, err)
	}
	if len(data) > maxFileBytes {
		return Config{}, fmt.Errorf("alertproc: read %s: larger than %d bytes", name, maxFileBytes)
	}
	l := &loader{pos: positions{file: name, line: map[string]int{}, bad: map[string]bool{}, unknown: map[string]bool{}}}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return Config{}, fmt.Errorf("alertproc: %s", yamlError(name, err))
	}
	if doc.Kind == 0 || len(doc.Content) == 0 {
		return Config{}, fmt.Errorf("alertproc: %s:1: the file is empty, want the key groups", name)
	}
	cfg := l.config(doc.Content[0])
	cfg.positions = &l.pos
	for _, p := range check(cfg) {
		if l.pos.reported(p) {
			continue // it only follows from a mistake that is named already
		}
		l.mistakes = append(l.mistakes, mistake{l.pos.lineOf(p.path), p.text})
	}
	if len(l.mistakes) > 0 {
		return Config{}, l.pos.join(l.mistakes)
	}
	return cfg, nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// yamlError puts the parser's "yaml: line 3: …" into the form of all other errors. The parser counts lines from 0 in
// some errors and from 1 in others, so the number can be one off.
func yamlError(name string, err error) string {
	text := err.Error()
	m := yamlLine.FindStringSubmatch(text)
	if m == nil {
		return name + ": " + text
	}
	rest := text[len(m[0]):]
	if m[1] == "" {
		return name + ": not YAML: " + rest
	}
	return name + ":" + m[1] + ": not YAML: " + rest
}

func (l *loader) config(n *yaml.Node) Config {
	var cfg Config
	l.mapping(n, "", fileKeys, func(k key) {
		switch k.name {
		case "groups":
			l.list(k, func(k key) { cfg.Groups = append(cfg.Groups, l.group(k)) })
		case "notify":
			l.list(k, func(k key) { cfg.Notify = append(cfg.Notify, l.notify(k)) })
		}
	})
	return cfg
}

func (l *loader) group(k key) Group {
	g := Group{File: l.pos.file}
	l.mapping(k.value, k.path, groupKeys, func(k key) {
		switch k.name {
		case "name":
			g.Name = l.text(k)
		case "every":
			g.Every = l.duration(k)
		case "rules":
			l.list(k, func(k key) {
				// Aliases let a small file name many rules.
				if l.rules++; l.rules <= maxRules {
					g.Rules = append(g.Rules, l.rule(k))
				} else if l.rules == maxRules+1 {
					l.fail(k.at, k.path, "more than %d rules", maxRules)
				}
			})
		}
	})
	return g
}

func (l *loader) rule(k key) Rule {
	var r Rule
	var over, minTotal, slo, burn *key
	var objective Burn
	path := k.path
	entries, _ := l.entries(k.value, path)
	for _, k := range entries {
		switch k.name {
		case "alert", "slo":
			if r.Alert != "" {
				l.fail(k.at, k.path, "a rule has either alert or slo for its name")
			}
			r.Alert = l.text(k)
			if k.name == "slo" && !l.pos.bad[k.path] {
				slo = &k
			}
		case "metric":
			r.Metric = l.text(k)
		case "where":
			r.Where = l.textMap(k)
		case "by":
			r.By = l.texts(k)
		case "value":
			r.Value = l.value(k)
		case "ratio":
			r.Ratio = l.ratio(k)
		case "over":
			over = &k
		case "min_total":
			minTotal = &k
		case "min_count":
			r.MinCount = l.number(k)
		case "warn":
			r.Warn = l.threshold(k)
		case "crit":
			r.Crit = l.threshold(k)
		case "for":
			r.For = l.duration(k)
		case "match":
			r.Match = l.match(k)
		case "keep_firing_for":
			r.KeepFiringFor = l.duration(k)
		case "no_data":
			r.NoData = NoData(l.text(k))
		case "after":
			r.After = l.duration(k)
		case "labels":
			r.Labels = l.textMap(k)
		case "annotations":
			r.Annotations = l.textMap(k)
		case "capture":
			r.Capture = l.texts(k)
		case "absent":
			r.Absent = l.positive(k)
		case "max_instances":
			r.MaxInstances = l.count(k)
		case "burn":
			burn = &k
			if s := l.text(k); s != "google" && !l.pos.bad[k.path] {
				l.fail(k.value, k.path, "burn: unknown windows %q; there is google, the four pairs of the Site Reliability Workbook", s)
			}
		case "objective":
			objective.Objective = l.number(k)
		case "period":
			objective.Period = l.positive(k)
		default:
			l.unknown(k, path, ruleKeys)
		}
	}
	switch {
	case burn != nil:
		r.Burn = &objective
	case slo != nil:
		l.pos.unknown[path] = true
		l.fail(slo.at, slo.path, "an slo needs burn: google; with thresholds of your own, name the rule by alert")
	case objective != (Burn{}):
		l.fail(k.at, path, "objective and period go with burn: google")
	}
	// These two stand beside ratio in the file and inside it in Go.
	for _, k := range []*key{over, minTotal} {
		switch {
		case k == nil:
		case r.Ratio == nil && k.name == "over":
			l.fail(k.at, k.path, "over stands beside ratio only; with metric, write it inside value: {rate, over: 1m}")
		case r.Ratio == nil:
			l.fail(k.at, k.path, "%s stands beside ratio only; with metric, write min_count", k.name)
		case k.name == "over":
			r.Ratio.Over = l.duration(*k)
		default:
			r.Ratio.MinTotal = l.number(*k)
		}
	}
	return r
}

// value reads "last", "{rate, over: 1m}" or "{quantile: 0.99, over: 1m}".
func (l *loader) value(k key) Value {
	var v Value
	path := k.path
	set := func(k key, name string) bool {
		switch {
		case !slices.Contains(aggregations, name):
			l.pos.unknown[path] = true
			l.fail(k.at, k.path, "unknown aggregation %q in value; %s", name, didYouMean(name, append(aggregations, "over")))
		case v.Aggregation != "":
			l.fail(k.at, k.path, "value has both %s and %s, want one", v.Aggregation, name)
		default:
			v.Aggregation = Aggregation(name)
			return true
		}
		return false
	}
	if k.value.Kind == yaml.ScalarNode {
		set(k, k.value.Value)
		return v
	}
	entries, _ := l.entries(k.value, k.path)
	for _, k := range entries {
		if k.name == "over" {
			v.Over = l.duration(k)
			continue
		}
		if !set(k, k.name) {
			continue
		}
		switch {
		case v.takesArg():
			v.Arg = l.number(k)
		case k.value.Tag != "!!null" && k.value.Value != "true":
			l.pos.unknown[path] = true
			l.fail(k.value, k.path, "%s takes no argument; write value: {%s, over: 1m}", k.name, k.name)
		}
	}
	return v
}

func (v Value) takesArg() bool { return v.Aggregation == Quantile || v.Aggregation == FractionAbove }

// match reads "3/5".
func (l *loader) match(k key) (m Match) {
	s := l.text(k)
	n, of, ok := strings.Cut(s, "/")
	var err1, err2 error
	m.N, err1 = strconv.Atoi(n)
	m.Of, err2 = strconv.Atoi(of)
	if (!ok || err1 != nil || err2 != nil) && !l.pos.bad[k.path] {
		l.fail(k.value, k.path, "match: %q is not of the form 3/5, which means 3 of the last 5 evaluations", s)
	}
	return m
}

func (l *loader) ratio(k key) *Ratio {
	var r Ratio
	l.mapping(k.value, k.path, []string{"bad", "total"}, func(k key) {
		s := &r.Bad
		if k.name == "total" {
			s = &r.Total
		}
		l.mapping(k.value, k.path, selectorKeys, func(k key) {
			if k.name == "metric" {
				s.Metric = l.text(k)
			} else {
				s.Where = l.textMap(k)
			}
		})
	})
	return &r
}

func (l *loader) threshold(k key) *Threshold {
	var t Threshold
	l.mapping(k.value, k.path, thresholdKeys, func(k key) {
		v := l.number(k)
		switch k.name {
		case "above":
			t.Above = &v
		case "below":
			t.Below = &v
		case "clear":
			t.Clear = &v
		}
	})
	return &t
}

// count reads a whole number above 0.
func (l *loader) count(k key) int {
	s := l.text(k)
	n, err := strconv.Atoi(s)
	if (err != nil || n < 1) && !l.pos.bad[k.path] {
		l.fail(k.value, k.path, "%s: %q is not a whole number of at least 1", k.name, s)
	}
	return n
}

// positive reads a duration for which 0 would mean a default in Go and something else to a reader of the file.
func (l *loader) positive(k key) time.Duration {
	d := l.duration(k)
	if d == 0 && !l.pos.bad[k.path] {
		l.fail(k.value, k.path, "%s must be more than 0", k.name)
	}
	return d
}

// reported tells whether p only follows from a mistake that is named already: one at the same place, one around it, or,
// for a missing key, a misspelt key beside it.
func (p *positions) reported(q problem) bool {
	if q.missing && p.unknown[q.path] {
		return true
	}
	for bad := range p.bad {
		if bad == q.path || below(q.path, bad) {
			return true
		}
	}
	return false
}

func below(path, parent string) bool {
	return len(path) > len(parent) && path[:len(parent)] == parent && (path[len(parent)] == '.' || path[len(parent)] == '[')
}

// lineOf returns the line of path, or of the nearest thing around it that is in the file.
func (p *positions) lineOf(path string) int {
	for path != "" {
		if line, ok := p.line[path]; ok {
			return line
		}
		cut := len(path) - 1
		for cut > 0 && path[cut] != '.' && path[cut] != '[' {
			cut--
		}
		path = path[:cut]
	}
	return 1
}
