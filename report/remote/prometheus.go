package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelnet/agent/report"
)

// Prometheus returns a source that reads Prometheus' HTTP API, as VictoriaMetrics, Mimir and Thanos have it too, with metrics written
// by way of OTLP (the names that OTLP's translation gives, the labels job and instance) or scraped. It asks for /api/v1/series and
// /api/v1/query. The error says what is wrong with opt; nothing is asked yet.
func Prometheus(opt Options) (report.Source, error) {
	c, err := newClient("prometheus", "a Prometheus API", opt)
	if err != nil {
		return nil, err
	}
	c.fail = said
	return &prometheus{client: c}, nil
}

type prometheus struct {
	*client
	selector  string   // {job="…"}, without braces
	instances []string // processes are their indices
	timeline  *timeline
	scope     *report.Scope // nil before Describe
	notes     []string      // of what is missing
}

// note notes something that is missing, once.
func (p *prometheus) note(text string) {
	if !slices.Contains(p.notes, text) {
		p.notes = append(p.notes, text)
	}
	if p.scope != nil {
		p.scope.Notes = p.notes
	}
}

// promSeries is one series of an answer.
type promSeries struct {
	Metric     map[string]string
	Values     []promSample
	Value      *promSample
	Histograms json.RawMessage
}

// promSample is [seconds, "value"].
type promSample struct {
	at    int64 // ms
	value float64
}

func (s *promSample) UnmarshalJSON(text []byte) error {
	var pair [2]json.RawMessage
	if err := json.Unmarshal(text, &pair); err != nil {
		return err
	}
	seconds, err := strconv.ParseFloat(string(pair[0]), 64)
	if err != nil {
		return err
	}
	value, err := strconv.ParseFloat(strings.Trim(string(pair[1]), `"`), 64)
	s.at, s.value = int64(math.Round(seconds*1000)), value
	return err
}

// anchors are metrics that a process reports at each collection, the best first.
var anchors = []string{
	"go.goroutine.count", "go.processor.limit", "otelnet.go.memory.heap.live", "process.memory.usage", "otelnet.server.active_connections",
}

func (p *prometheus) Describe(ctx context.Context, from, until time.Time) (*report.Scope, error) {
	if err := p.choose(ctx, from, until); err != nil {
		return nil, err
	}
	sets, err := p.series(ctx, p.matcher(""), from, until)
	if err != nil {
		return nil, err
	}
	names := make(map[string]int) // series of each
	instances := make(map[string]bool)
	for _, set := range sets {
		names[set["__name__"]]++
		instances[set["instance"]] = true
	}
	p.instances = slices.Sorted(maps.Keys(instances))
	s := &report.Scope{Service: p.opt.Service, Source: p.String(), Metrics: promMetrics(slices.Collect(maps.Keys(names)))}
	for _, i := range p.instances {
		if i != "" {
			s.Instances = append(s.Instances, i)
		}
	}
	if len(sets) == 0 {
		return nil, p.errorf("%w of %s between %s and %s", report.ErrNoSamples, p.matcher(""), clock(from), clock(until))
	}
	if err := p.watch(ctx, names, from, until); err != nil {
		return nil, err
	}
	s.Times, s.GapAfter = p.timeline.all, time.Duration(p.timeline.gapAfter)*time.Millisecond
	s.Notes, p.scope = p.notes, s
	return s, nil
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// choose makes the selector. With no service named, there must be one only.
func (p *prometheus) choose(ctx context.Context, from, until time.Time) error {
	var parts []string
	add := func(label, value string) { parts = append(parts, label+"="+strconv.Quote(value)) }
	for _, name := range slices.Sorted(maps.Keys(p.opt.Select)) {
		add(promLabel(name), p.opt.Select[name])
	}
	if p.opt.Instance != "" {
		add("instance", p.opt.Instance)
	}
	if p.opt.Service == "" {
		p.selector = strings.Join(parts, ",")
		signs := []string{"target_info", promName(report.Metric{Name: anchors[0]}), "up"}
		sets, err := p.series(ctx, p.matcher(strings.Join(signs, "|")), from, until)
		if err != nil {
			return err
		}
		// OTLP writes a target_info for each service; scraped ones have at least up.
		jobs := make(map[string]bool)
		for _, name := range signs {
			for _, set := range sets {
				if set["__name__"] == name {
					jobs[set["job"]] = true
				}
			}
			if len(jobs) > 0 {
				break
			}
		}
		if len(jobs) > 1 {
			return p.errorf("it has %d services: %.500s; choose one with -service", len(jobs), strings.Join(slices.Sorted(maps.Keys(jobs)), ", "))
		}
		for job := range jobs {
			p.opt.Service = job
		}
	}
	if p.opt.Service != "" {
		add("job", p.opt.Service)
	}
	p.selector = strings.Join(parts, ",")
	return nil
}

// matcher is a PromQL selector for names that match a regular expression, all with "".
func (p *prometheus) matcher(names string) string {
	if names == "" {
		names = ".+"
	}
	text := "{__name__=~" + strconv.Quote(names)
	if p.selector != "" {
		text += "," + p.selector
	}
	return text + "}"
}

// series asks for label sets.
func (p *prometheus) series(ctx context.Context, matcher string, from, until time.Time) ([]map[string]string, error) {
	var sets []map[string]string
	err := p.ask(ctx, "api/v1/series", url.Values{"match[]": {matcher}, "start": {seconds(from)}, "end": {seconds(until)}}, &sets)
	return sets, err
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

// ask decodes the data of an answer.
func (p *prometheus) ask(ctx context.Context, path string, query url.Values, into any) error {
	body, err := p.get(ctx, path, query)
	if err != nil {
		return err
	}
	var answer struct {
		Status   string
		Error    string
		Warnings []string
		Data     json.RawMessage
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Status == "" {
		return p.errorf("the answer for %s is not Prometheus': is this %s?", path, p.what)
	}
	if answer.Status != "success" {
		return p.errorf("%s", printable(answer.Error))
	}
	for _, w := range answer.Warnings { // Thanos and Mimir give what they have when a part of the store does not answer
		p.note("it warns: " + printable(w))
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		return p.errorf("the answer for %s cannot be read: %w", path, err)
	}
	return nil
}

// samples asks for the raw samples of what matches, in (from, until].
func (p *prometheus) samples(ctx context.Context, matcher string, from, until time.Time) ([]promSeries, error) {
	var data struct {
		ResultType string
		Result     []promSeries
	}
	expr := fmt.Sprintf("%s[%dms]", matcher, until.Sub(from).Milliseconds())
	err := p.ask(ctx, "api/v1/query", url.Values{"query": {expr}, "time": {seconds(until)}, "timeout": {p.opt.Timeout.String()}}, &data)
	if err == nil && data.ResultType != "matrix" {
		err = p.errorf("the answer for raw samples is a %q, want a matrix", data.ResultType)
	}
	return data.Result, err
}

// tooLarge tells errors for which a shorter stretch is the remedy: ours, and Prometheus' limit of samples in a query.
func tooLarge(err error) bool {
	return errors.Is(err, errTooLarge) || strings.Contains(err.Error(), "too many samples")
}

// watch learns when each process was sampled, from a few metrics that are always there.
func (p *prometheus) watch(ctx context.Context, names map[string]int, from, until time.Time) error {
	chosen := anchorsOf(names, func(name string) string { return promName(report.Metric{Name: name, Unit: unitOf(name)}) })
	for i, name := range chosen {
		chosen[i] = regexp.QuoteMeta(name)
	}
	pattern := strings.Join(chosen, "|")
	times := make(map[int][]int64)
	err := stretches(from, until, stretch, func(from, until time.Time) error {
		result, err := p.samples(ctx, p.matcher(pattern), from, until)
		for _, sr := range result {
			process := p.process(sr.Metric)
			for _, v := range sr.Values {
				times[process] = append(times[process], v.at)
			}
		}
		return err
	}, tooLarge)
	if err != nil {
		return err
	}
	var before struct{ Result []promSeries }
	err = p.ask(ctx, "api/v1/query", url.Values{
		"query": {"last_over_time(" + p.matcher(pattern) + "[1d])"}, "time": {seconds(from)},
	}, &before)
	if err != nil {
		return err
	}
	older := make(map[int]bool)
	for _, sr := range before.Result {
		older[p.process(sr.Metric)] = true
	}
	p.timeline = newTimeline(times, older)
	return nil
}

// unitOf is the unit of a metric of ours.
func unitOf(name string) string {
	for _, m := range report.Known() {
		if m.Name == name {
			return m.Unit
		}
	}
	return ""
}

// anchorsOf chooses up to three metrics of a store, by its names and their numbers of series, that tell when processes were sampled:
// those that every agent has, else those with the fewest series.
func anchorsOf(names map[string]int, translate func(string) string) []string {
	var out []string
	for _, a := range anchors {
		if name := translate(a); names[name] > 0 && len(out) < 3 {
			out = append(out, name)
		}
	}
	if len(out) > 0 {
		return out
	}
	all := slices.Sorted(maps.Keys(names))
	slices.SortStableFunc(all, func(a, b string) int { return cmp.Compare(names[a], names[b]) })
	return all[:min(3, len(all))]
}

// process is the index of a series' process.
func (p *prometheus) process(labels map[string]string) int {
	i, _ := slices.BinarySearch(p.instances, labels["instance"])
	return i
}

// stretch is for how long samples are asked for at once; less where an answer would be too large.
const stretch = 6 * time.Hour

func (p *prometheus) Read(ctx context.Context, m report.Metric, by []string, from, until time.Time, add func(*report.Series)) error {
	pattern := regexp.QuoteMeta(m.ID) // since Prometheus 3 names may have dots, and what not
	if m.Kind == report.Histogram {
		pattern += "_bucket|" + pattern + "_sum"
	}
	state := make(map[string]*cumulative)
	return stretches(from, until, stretch, func(from, until time.Time) error {
		result, err := p.samples(ctx, p.matcher(pattern), from, until)
		if err != nil {
			return err
		}
		p.noteNative(m, result)
		switch m.Kind {
		case report.Gauge:
			for _, sr := range result {
				add(p.gauge(sr, by))
			}
		case report.Counter:
			for _, sr := range result {
				c := p.state(state, sr.Metric, by)
				if s := c.increases(totals(sr), p.timeline, false); s != nil {
					add(s)
				}
			}
		default:
			p.histograms(result, state, by, add)
		}
		return nil
	}, tooLarge)
}

// noteNative says once that a metric is in a form that is not read.
func (p *prometheus) noteNative(m report.Metric, result []promSeries) {
	if slices.ContainsFunc(result, func(sr promSeries) bool { return len(sr.Histograms) > 0 }) {
		p.note(m.Name + " has native histograms, which are not read")
	}
}

func (p *prometheus) gauge(sr promSeries, by []string) *report.Series {
	s := &report.Series{Process: p.process(sr.Metric), Attributes: attributes(sr.Metric, by)}
	for _, v := range sr.Values {
		s.Times, s.Values = append(s.Times, v.at), append(s.Values, v.value)
	}
	return s
}

func totals(sr promSeries) []total {
	out := make([]total, 0, len(sr.Values))
	for _, v := range sr.Values {
		if finite(v.value) {
			out = append(out, total{at: v.at, value: v.value})
		}
	}
	return out
}

// finite tells numbers from what a total cannot be.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// attributes are a series' labels under the names of by; all but those that tell the process if by asks for all.
func attributes(labels map[string]string, by []string) map[string]string {
	out := make(map[string]string)
	if len(by) == 1 && by[0] == report.AllAttributes {
		for k, v := range labels {
			switch k {
			case "__name__", "job", "instance", "le", "otel_scope_name", "otel_scope_version", "otel_scope_schema_url":
			default:
				out[k] = v
			}
		}
		return out
	}
	for _, name := range by {
		if v := labels[promLabel(name)]; v != "" {
			out[name] = v
		}
	}
	return out
}

// state is what was seen of the series with these labels, le and the name's suffix apart.
func (p *prometheus) state(all map[string]*cumulative, labels map[string]string, by []string) *cumulative {
	key := keyOf(labels)
	c := all[key]
	if c == nil {
		c = &cumulative{process: p.process(labels), attributes: attributes(labels, by)}
		all[key] = c
	}
	return c
}

func keyOf(labels map[string]string) string {
	var key strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if k != "le" && k != "__name__" {
			key.WriteString(k + "\x00" + labels[k] + "\x00")
		}
	}
	return key.String()
}

// histograms puts the series of buckets and sums together.
func (p *prometheus) histograms(result []promSeries, state map[string]*cumulative, by []string, add func(*report.Series)) {
	type column struct {
		bound  float64
		values []promSample
	}
	type group struct {
		labels  map[string]string
		columns []column
		sums    map[int64]float64
	}
	groups := make(map[string]*group)
	var order []string
	for _, sr := range result {
		key := keyOf(sr.Metric)
		g := groups[key]
		if g == nil {
			g = &group{labels: sr.Metric, sums: make(map[int64]float64)}
			groups[key] = g
			order = append(order, key)
		}
		le, ok := sr.Metric["le"]
		if !ok {
			for _, v := range sr.Values {
				g.sums[v.at] = v.value
			}
			continue
		}
		if bound, err := strconv.ParseFloat(le, 64); err == nil {
			g.columns = append(g.columns, column{bound, sr.Values})
		}
	}
	for _, key := range order {
		g := groups[key]
		slices.SortFunc(g.columns, func(a, b column) int { return cmp.Compare(a.bound, b.bound) })
		if len(g.columns) == 0 || !math.IsInf(g.columns[len(g.columns)-1].bound, 1) {
			continue // no histogram: the bucket of everything is missing
		}
		var bounds []float64
		for _, c := range g.columns[:len(g.columns)-1] {
			bounds = append(bounds, c.bound)
		}
		var rows []total
		at := make([]int, len(g.columns)) // where each column stands
		for _, v := range g.columns[len(g.columns)-1].values {
			row := total{at: v.at, value: v.value, sum: g.sums[v.at], buckets: make([]float64, len(g.columns))}
			whole := true
			for i, c := range g.columns {
				for at[i] < len(c.values) && c.values[at[i]].at < v.at {
					at[i]++
				}
				if whole = whole && at[i] < len(c.values) && c.values[at[i]].at == v.at && finite(c.values[at[i]].value); whole {
					row.buckets[i] = c.values[at[i]].value
				}
			}
			if whole {
				rows = append(rows, row)
			}
		}
		c := p.state(state, g.labels, by)
		if !slices.Equal(c.bounds, bounds) {
			*c = cumulative{process: c.process, attributes: c.attributes, bounds: bounds}
		}
		if s := c.increases(rows, p.timeline, true); s != nil {
			add(s)
		}
	}
}
