package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelnet/agent/report"
)

// InfluxDB returns a source that reads InfluxDB 1.x by its HTTP API, as the Collector's influxdb exporter writes it with
// metrics_schema telegraf-prometheus-v1 and v1_compatibility: a measurement for each metric, under its own name, with the fields gauge,
// counter, or for a histogram count, sum and one for each bucket's bound; attributes are tags. The error says what is wrong with opt;
// nothing is asked yet.
func InfluxDB(opt Options) (report.Source, error) {
	c, err := newClient("influxdb", "an InfluxDB 1.x", opt)
	if err != nil {
		return nil, err
	}
	c.fail = said
	db := &influxdb{client: c, database: cmp.Or(c.base.Query().Get("db"), "otel")}
	return db, nil
}

type influxdb struct {
	*client
	database  string
	where     string   // conditions on tags, each with " AND " behind it
	instances []string // processes are their indices
	timeline  *timeline
}

const (
	tagService  = "service.name"
	tagInstance = "service.instance.id"
	// The exporter writes exemplars to measurements of their own.
	exemplars = "_exemplar"
)

// influxSeries is one group of an answer.
type influxSeries struct {
	Name    string
	Tags    map[string]string
	Columns []string
	Values  [][]any
	Partial bool
}

// ask runs an InfluxQL query.
func (db *influxdb) ask(ctx context.Context, q string) ([]influxSeries, error) {
	body, err := db.get(ctx, "query", url.Values{"db": {db.database}, "epoch": {"ms"}, "q": {q}})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Results []struct {
			Error   string
			Series  []influxSeries
			Partial bool
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Results) != 1 {
		return nil, db.errorf("the answer is not InfluxDB's: is this %s?", db.what)
	}
	r := answer.Results[0]
	if r.Error != "" {
		return nil, db.errorf("%s", printable(r.Error))
	}
	if r.Partial || slices.ContainsFunc(r.Series, func(s influxSeries) bool { return s.Partial }) {
		return nil, db.errorf("it gave a part of the rows only (max-row-limit): %w", errTooLarge)
	}
	return r.Series, nil
}

// ident and text quote names and values for InfluxQL.
func ident(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

func text(s string) string {
	return `'` + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(s) + `'`
}

func (db *influxdb) Describe(ctx context.Context, from, until time.Time) (*report.Scope, error) {
	if err := db.choose(ctx); err != nil {
		return nil, err
	}
	condition := ""
	if db.where != "" {
		condition = " WHERE " + strings.TrimSuffix(db.where, " AND ")
	}
	names, err := db.column(ctx, "SHOW MEASUREMENTS"+condition, "name")
	if err != nil {
		return nil, err
	}
	if db.instances, err = db.column(ctx, "SHOW TAG VALUES WITH KEY = "+ident(tagInstance)+condition, "value"); err != nil {
		return nil, err
	}
	db.instances = append(db.instances, "") // of series without the tag
	slices.Sort(db.instances)
	db.instances = slices.Compact(db.instances)
	s := &report.Scope{Service: db.opt.Service, Source: db.String(), Metrics: nil}
	if s.Metrics, err = db.metrics(ctx, names); err != nil {
		return nil, err
	}
	if len(s.Metrics) == 0 {
		return nil, db.errorf("%w: database %q has no metrics%s", report.ErrNoSamples, db.database, condition)
	}
	if err := db.watch(ctx, names, from, until); err != nil {
		return nil, err
	}
	for i, name := range db.instances {
		if name != "" && len(db.timeline.processes[i]) > 0 {
			s.Instances = append(s.Instances, name)
		}
	}
	s.Times, s.GapAfter = db.timeline.all, time.Duration(db.timeline.gapAfter)*time.Millisecond
	return s, nil
}

// choose makes the conditions. With no service named, there must be one only.
func (db *influxdb) choose(ctx context.Context) error {
	db.where = ""
	add := func(tag, value string) { db.where += ident(tag) + " = " + text(value) + " AND " }
	if db.opt.Service == "" {
		services, err := db.column(ctx, "SHOW TAG VALUES WITH KEY = "+ident(tagService), "value")
		if err != nil {
			return err
		}
		slices.Sort(services)
		services = slices.Compact(services)
		if len(services) > 1 {
			return db.errorf("it has %d services: %.500s; choose one with -service", len(services), strings.Join(services, ", "))
		}
		for _, name := range services {
			db.opt.Service = name
		}
	}
	if db.opt.Service != "" {
		add(tagService, db.opt.Service)
	}
	if db.opt.Instance != "" {
		add(tagInstance, db.opt.Instance)
	}
	for _, name := range slices.Sorted(maps.Keys(db.opt.Select)) {
		add(name, db.opt.Select[name])
	}
	return nil
}

// column is one text column of an answer.
func (db *influxdb) column(ctx context.Context, q, name string) ([]string, error) {
	series, err := db.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, s := range series {
		i := slices.Index(s.Columns, name)
		for _, row := range s.Values {
			if i >= 0 && i < len(row) {
				if v, ok := row[i].(string); ok {
					out = append(out, v)
				}
			}
		}
	}
	return out, nil
}

// metrics tells the kinds of measurements by their fields.
func (db *influxdb) metrics(ctx context.Context, names []string) ([]report.Metric, error) {
	series, err := db.ask(ctx, "SHOW FIELD KEYS")
	if err != nil {
		return nil, err
	}
	known := make(map[string]report.Metric)
	for _, m := range report.Known() {
		known[m.Name] = m
	}
	wanted := make(map[string]bool, len(names))
	for _, n := range names {
		wanted[n] = !strings.HasSuffix(n, exemplars)
	}
	var out []report.Metric
	for _, s := range series {
		if !wanted[s.Name] {
			continue
		}
		m := report.Metric{Name: s.Name, ID: s.Name, Unit: known[s.Name].Unit, Kind: -1}
		for _, row := range s.Values {
			switch {
			case len(row) == 0 || m.Kind == report.Histogram:
			case row[0] == "+Inf":
				m.Kind = report.Histogram
			case row[0] == "counter":
				m.Kind = report.Counter
			case row[0] == "gauge":
				m.Kind = report.Gauge
			}
		}
		if m.Kind >= 0 {
			out = append(out, m)
		}
	}
	return out, nil
}

// during is the condition of a stretch.
func (db *influxdb) during(from, until time.Time) string {
	return fmt.Sprintf(" WHERE %stime > %dms AND time <= %dms", db.where, from.UnixMilli(), until.UnixMilli())
}

// watch learns when each process was sampled, from a few metrics that are always there.
func (db *influxdb) watch(ctx context.Context, names []string, from, until time.Time) error {
	counts := make(map[string]int)
	for _, n := range names {
		if !strings.HasSuffix(n, exemplars) {
			counts[n] = 1
		}
	}
	var quoted []string
	for _, n := range anchorsOf(counts, func(name string) string { return name }) {
		quoted = append(quoted, ident(n))
	}
	ask := "SELECT * FROM " + strings.Join(quoted, ", ")
	by := " GROUP BY " + ident(tagInstance)
	times := make(map[int][]int64)
	err := stretches(from, until, stretch, func(from, until time.Time) error {
		series, err := db.ask(ctx, ask+db.during(from, until)+by)
		for _, s := range series {
			process := db.process(s.Tags)
			for _, row := range s.Values {
				if at, ok := number(row, 0); ok {
					times[process] = append(times[process], int64(at))
				}
			}
		}
		return err
	}, tooLarge)
	if err != nil {
		return err
	}
	before, err := db.ask(ctx, ask+db.during(from.Add(-24*time.Hour), from)+by+" ORDER BY time DESC LIMIT 1")
	if err != nil {
		return err
	}
	older := make(map[int]bool)
	for _, s := range before {
		older[db.process(s.Tags)] = true
	}
	db.timeline = newTimeline(times, older)
	return nil
}

func number(row []any, i int) (float64, bool) {
	if i < 0 || i >= len(row) {
		return 0, false
	}
	v, ok := row[i].(float64)
	return v, ok
}

// process is the index of a series' process.
func (db *influxdb) process(tags map[string]string) int {
	i, _ := slices.BinarySearch(db.instances, tags[tagInstance])
	return i
}

// fieldOf is the field of a metric that is not a histogram.
var fieldOf = map[report.Kind]string{report.Gauge: "gauge", report.Counter: "counter"}

func (db *influxdb) Read(ctx context.Context, m report.Metric, by []string, from, until time.Time, add func(*report.Series)) error {
	field := "*"
	if name := fieldOf[m.Kind]; name != "" {
		field = ident(name)
	}
	state := make(map[string]*cumulative)
	return stretches(from, until, stretch, func(from, until time.Time) error {
		series, err := db.ask(ctx, "SELECT "+field+" FROM "+ident(m.Name)+db.during(from, until)+" GROUP BY *")
		if err != nil {
			return err
		}
		for i := range series {
			s := &series[i]
			if m.Kind == report.Gauge {
				add(db.gauge(s, by))
				continue
			}
			key := keyOf(s.Tags)
			c := state[key]
			if c == nil {
				c = &cumulative{process: db.process(s.Tags), attributes: db.attributes(s.Tags, by)}
				state[key] = c
			}
			rows := counters(s)
			if m.Kind == report.Histogram {
				rows = db.histogram(s, c)
			}
			if out := c.increases(rows, db.timeline, m.Kind == report.Histogram); out != nil {
				add(out)
			}
		}
		return nil
	}, tooLarge)
}

func (db *influxdb) gauge(s *influxSeries, by []string) *report.Series {
	out := &report.Series{Process: db.process(s.Tags), Attributes: db.attributes(s.Tags, by)}
	for _, t := range counters(s) {
		out.Times, out.Values = append(out.Times, t.at), append(out.Values, t.value)
	}
	return out
}

// counters reads rows of time and value.
func counters(s *influxSeries) []total {
	out := make([]total, 0, len(s.Values))
	for _, row := range s.Values {
		at, ok := number(row, 0)
		if v, is := number(row, 1); ok && is {
			out = append(out, total{at: int64(at), value: v})
		}
	}
	return out
}

// histogram reads rows whose fields are the bounds of buckets, and count and sum. c's bounds become those of the rows.
func (db *influxdb) histogram(s *influxSeries, c *cumulative) []total {
	type column struct {
		index int
		bound float64
	}
	var columns []column
	for i, name := range s.Columns {
		if bound, err := strconv.ParseFloat(name, 64); err == nil && i > 0 && slices.ContainsFunc(s.Values, func(row []any) bool { _, ok := number(row, i); return ok }) {
			columns = append(columns, column{i, bound})
		}
	}
	slices.SortFunc(columns, func(a, b column) int { return cmp.Compare(a.bound, b.bound) })
	if len(columns) == 0 || !math.IsInf(columns[len(columns)-1].bound, 1) {
		return nil
	}
	var bounds []float64
	for _, col := range columns[:len(columns)-1] {
		bounds = append(bounds, col.bound)
	}
	if !slices.Equal(c.bounds, bounds) {
		*c = cumulative{process: c.process, attributes: c.attributes, bounds: bounds}
	}
	count, sum := slices.Index(s.Columns, "count"), slices.Index(s.Columns, "sum")
	out := make([]total, 0, len(s.Values))
	for _, row := range s.Values {
		at, ok := number(row, 0)
		t := total{at: int64(at), buckets: make([]float64, len(columns))}
		for i, col := range columns {
			v, is := number(row, col.index)
			t.buckets[i], ok = v, ok && is
		}
		var has bool
		if t.value, has = number(row, count); !has {
			t.value = t.buckets[len(t.buckets)-1]
		}
		t.sum, _ = number(row, sum)
		if ok {
			out = append(out, t)
		}
	}
	return out
}

// attributes are a series' tags of by; those of the point, as far as they can be told from the resource's, if by asks for all.
func (db *influxdb) attributes(tags map[string]string, by []string) map[string]string {
	out := make(map[string]string)
	if len(by) == 1 && by[0] == report.AllAttributes {
		for k, v := range tags {
			if v != "" && !ofResource(k) {
				out[k] = v
			}
		}
		return out
	}
	for _, name := range by {
		if v := tags[name]; v != "" {
			out[name] = v
		}
	}
	return out
}

// ofResource tells tags of the process and of the library apart from the metric's own.
func ofResource(tag string) bool {
	for _, prefix := range []string{"service.", "telemetry.", "host.", "os.", "process.", "container.", "k8s.", "cloud.", "deployment.", "otel.", "otelcol.", "scope."} {
		if strings.HasPrefix(tag, prefix) {
			return true
		}
	}
	return false
}
