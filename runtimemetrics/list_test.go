package runtimemetrics

import (
	"fmt"
	"go/parser"
	"go/token"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// row is a line of the package comment's list: metric, kind, unit, attribute and keys.
type row struct{ Name, Kind, Unit, Attr, Keys string }

func rowsOfComment(t *testing.T) []row {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	for line := range strings.Lines(f.Doc.Text()) {
		fields := strings.Fields(line)
		if !strings.HasPrefix(line, "\t") || len(fields) < 4 ||
			!slices.Contains([]string{"counter", "updowncounter", "gauge", "histogram"}, fields[1]) {
			continue
		}
		r := row{Name: fields[0], Kind: fields[1], Unit: fields[2]}
		keys := fields[3:]
		if attr, ok := strings.CutSuffix(keys[0], ":"); ok {
			r.Attr, keys = attr, keys[1:]
		}
		r.Keys = strings.Join(keys, " ")
		rows = append(rows, r)
	}
	slices.SortStableFunc(rows, byName)
	return rows
}

func byName(a, b row) int { return strings.Compare(a.Name, b.Name) }

func rowsOfCode() []row {
	var rows []row
	for _, inst := range slices.Concat(runtimeInstruments(), systemInstruments()) {
		for _, p := range inst.points {
			r := row{Name: inst.name, Kind: inst.kind.String(), Unit: inst.unit, Attr: attrText(p.attr...), Keys: p.key}
			for _, m := range p.minus {
				r.Keys += " -" + m
			}
			rows = append(rows, r)
		}
	}
	for _, h := range histograms() {
		rows = append(rows, row{Name: h.name, Kind: "histogram", Unit: h.unit, Keys: h.key})
	}
	slices.SortStableFunc(rows, byName)
	return rows
}

func attrText(attrs ...attribute.KeyValue) string {
	var parts []string
	for _, a := range attrs {
		parts = append(parts, fmt.Sprintf("%s=%s", a.Key, a.Value.AsString()))
	}
	return strings.Join(parts, ",")
}

func TestPackageCommentListsWhatTheCodeHas(t *testing.T) {
	if diff := cmp.Diff(rowsOfCode(), rowsOfComment(t)); diff != "" {
		t.Errorf("package comment differs from the code (-code +comment):\n%s", diff)
	}
}

// TestEveryListedPointIsEmitted plays a machine with a container, so that everything has a value on Linux.
func TestEveryListedPointIsEmitted(t *testing.T) {
	t.Cleanup(setMemoryLimit(1 << 40)) // without a limit there is no point for it
	reader, provider := newReader(t, sdkmetric.WithProducer(NewProducer()))
	startIn(t, containerRoot(t), WithMeterProvider(provider))

	var want []row
	for _, r := range rowsOfComment(t) {
		if known := platformFacts[runtime.GOOS]; known == nil || !isFact(r) || slices.Contains(known, r.Name) {
			r.Keys = ""
			want = append(want, r)
		}
	}
	var got []row
	for _, m := range collect(t, reader) {
		if m.Description == "" {
			t.Errorf("%s has no description", m.Name)
		}
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			got = append(got, rowsOfPoints(m, sumKind(d.IsMonotonic), d.DataPoints)...)
		case metricdata.Sum[float64]:
			got = append(got, rowsOfPoints(m, sumKind(d.IsMonotonic), d.DataPoints)...)
		case metricdata.Gauge[int64]:
			got = append(got, rowsOfPoints(m, "gauge", d.DataPoints)...)
		case metricdata.Histogram[float64]:
			got = append(got, row{Name: m.Name, Kind: "histogram", Unit: m.Unit})
		default:
			t.Errorf("%s: unexpected data %T", m.Name, d)
		}
	}
	byText := func(a, b row) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
	slices.SortFunc(want, byText)
	slices.SortFunc(got, byText)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("emitted points differ from the list (-listed +emitted):\n%s", diff)
	}
}

// platformFacts names what the package comment promises of the process on each platform; on Linux it is everything. The
// container's are files, which the test brings along everywhere.
var platformFacts = map[string][]string{
	"darwin":  {"process.cpu.time", "otelnet.process.unix.file_descriptor.limit"},
	"freebsd": {"process.cpu.time", "otelnet.process.unix.file_descriptor.limit"},
	"windows": {},
}

func isFact(r row) bool {
	return strings.HasPrefix(r.Name, "process.") || strings.HasPrefix(r.Name, "otelnet.process.")
}

func sumKind(monotonic bool) string {
	if monotonic {
		return "counter"
	}
	return "updowncounter"
}

func rowsOfPoints[N int64 | float64](m metricdata.Metrics, kind string, points []metricdata.DataPoint[N]) []row {
	var rows []row
	for _, p := range points {
		rows = append(rows, row{Name: m.Name, Kind: kind, Unit: m.Unit, Attr: attrText(p.Attributes.ToSlice()...)})
	}
	return rows
}

// The registry's tables for Go and, in part, for processes as published, read by a person: goconv, from which the code takes its names, is not the witness.
func TestRegistryMetricsAreComplete(t *testing.T) {
	want := map[string]string{
		"go.memory.used":              "updowncounter By",
		"go.memory.limit":             "updowncounter By",
		"go.memory.allocated":         "counter By",
		"go.memory.allocations":       "counter {allocation}",
		"go.memory.gc.goal":           "updowncounter By",
		"go.memory.gc.cycles":         "counter {gc_cycle}",
		"go.memory.gc.pause.duration": "histogram s",
		"go.goroutine.count":          "updowncounter {goroutine}",
		"go.processor.limit":          "updowncounter {thread}",
		"go.config.gogc":              "updowncounter %",
		"go.schedule.duration":        "histogram s",
		"go.cpu.time":                 "counter s",

		"process.cpu.time":                   "counter s",
		"process.memory.usage":               "updowncounter By",
		"process.unix.file_descriptor.count": "updowncounter {file_descriptor}",
	}
	got := make(map[string]string)
	for _, r := range rowsOfCode() {
		if !strings.HasPrefix(r.Name, "otelnet.") {
			got[r.Name] = r.Kind + " " + r.Unit
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("registry metrics (-want +got):\n%s", diff)
	}
}

func TestMetricNamesAreThoseOfTheList(t *testing.T) {
	var want []string
	for _, r := range rowsOfComment(t) {
		want = append(want, r.Name)
	}
	if diff := cmp.Diff(slices.Compact(want), MetricNames()); diff != "" {
		t.Errorf("names (-listed +got):\n%s", diff)
	}
}
