package oracle

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/alertproc"
)

// The size of the service, as in bench/.
const (
	costInstruments = 10
	costRoutes      = 100 // of each instrument
	costShards      = 10  // series of a route
	costRules       = costInstruments * costRoutes
	costEvery       = time.Second
	costOver        = time.Minute
	costFirst       = 65 // evaluations that fill the windows
)

// costBounds are those of request durations in the semantic conventions.
var costBounds = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}

// service is what both watch: 10,000 histograms into each of which one observation goes between two evaluations.
type service struct {
	rm    metricdata.ResourceMetrics
	count int
	at    time.Time
	store quickStore
	fed   [][]*quickSeries // by histogram: its buckets, count and sum
}

func costName(i int) string  { return "work.duration." + strconv.Itoa(i) }
func costRoute(i int) string { return "/route/" + strconv.Itoa(i) }

func newService() *service {
	s := &service{at: start, store: quickStore{map[quickKey][]*quickSeries{}}}
	s.rm.ScopeMetrics = []metricdata.ScopeMetrics{{}}
	for i := range costInstruments {
		var data metricdata.Histogram[float64]
		data.Temporality = metricdata.CumulativeTemporality
		prom := "work_duration_" + strconv.Itoa(i)
		for route := range costRoutes {
			for shard := range costShards {
				data.DataPoints = append(data.DataPoints, metricdata.HistogramDataPoint[float64]{
					Attributes: attribute.NewSet(attribute.String("route", costRoute(route)), attribute.Int("shard", shard)),
					Bounds:     costBounds, BucketCounts: make([]uint64, len(costBounds)+1),
				})
				var fed []*quickSeries
				add := func(suffix string, extra ...string) {
					l := append([]string{labels.MetricName, prom + suffix, "route", costRoute(route), "shard", strconv.Itoa(shard)}, extra...)
					one := &quickSeries{labels: labels.FromStrings(l...), points: make([]point, 0, costFirst+64)}
					key := quickKey{prom + suffix, costRoute(route)}
					s.store.by[key] = append(s.store.by[key], one)
					fed = append(fed, one)
				}
				for _, b := range costBounds {
					add("_bucket", "le", strconv.FormatFloat(b, 'g', -1, 64))
				}
				add("_bucket", "le", "+Inf")
				add("_count")
				add("_sum")
				s.fed = append(s.fed, fed)
			}
		}
		s.rm.ScopeMetrics[0].Metrics = append(s.rm.ScopeMetrics[0].Metrics, metricdata.Metrics{Name: costName(i), Unit: "s", Data: data})
	}
	return s
}

// step records one observation in each histogram, takes the snapshot and lets Prometheus scrape the same.
func (s *service) step() {
	s.at = s.at.Add(costEvery)
	n := 0
	for i := range s.rm.ScopeMetrics[0].Metrics {
		points := s.rm.ScopeMetrics[0].Metrics[i].Data.(metricdata.Histogram[float64]).DataPoints
		for j := range points {
			p := &points[j]
			bucket := (s.count + j) % len(costBounds)
			p.BucketCounts[bucket]++
			p.Count++
			p.Sum += costBounds[bucket] * 0.9
			fed, t, sum := s.fed[n], timestamp.FromTime(s.at), uint64(0)
			for b, c := range p.BucketCounts {
				sum += c
				fed[b].add(t, float64(sum))
			}
			fed[len(costBounds)+1].add(t, float64(p.Count))
			fed[len(costBounds)+2].add(t, p.Sum)
			n++
		}
	}
	s.count++
}

// add keeps the window and a little more.
func (s *quickSeries) add(t int64, v float64) {
	if len(s.points) == cap(s.points) {
		n := copy(s.points, s.points[len(s.points)-costFirst:])
		s.points = s.points[:n]
	}
	s.points = append(s.points, point{t, v})
}

// costRule is rule number i on both sides: a rate, a mean or a quantile over a minute of one route. The first three are
// crossed, to see that both compute the same.
func costRule(i int) (alertproc.Rule, string) {
	name, route := i%costInstruments, costRoute(i/costInstruments)
	bound := 1e9
	if i < 3 {
		bound = -1
	}
	rule := alertproc.Rule{
		Alert: fmt.Sprintf("Rule%d", i), Metric: costName(name), Where: map[string]string{"route": route}, Warn: alertproc.Above(bound),
	}
	prom, window := fmt.Sprintf("work_duration_%d", name), fmt.Sprintf("{route=%q}[1m]", route)
	switch i % 3 {
	case 0:
		rule.Value = alertproc.Value{Aggregation: alertproc.Rate, Over: costOver}
		return rule, fmt.Sprintf("sum(rate(%s_count%s)) > %v", prom, window, bound)
	case 1:
		rule.Value = alertproc.Value{Aggregation: alertproc.Mean, Over: costOver}
		return rule, fmt.Sprintf("sum(rate(%s_sum%s)) / sum(rate(%s_count%s)) > %v", prom, window, prom, window, bound)
	default:
		rule.Value = alertproc.Value{Aggregation: alertproc.Quantile, Arg: 0.99, Over: costOver}
		return rule, fmt.Sprintf("histogram_quantile(0.99, sum by (le) (rate(%s_bucket%s))) > %v", prom, window, bound)
	}
}

// BenchmarkThousandRules evaluates 1,000 rules over 10,000 histograms in both, in turn, on one processor.
func BenchmarkThousandRules(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	service := newService()
	var ours []alertproc.Rule
	var theirs []rules.Rule
	for i := range costRules {
		rule, query := costRule(i)
		expr, err := promParser.ParseExpr(query)
		if err != nil {
			b.Fatal(err)
		}
		ours = append(ours, rule)
		theirs = append(theirs, rules.NewAlertingRule(rule.Alert, expr, 0, 0, labels.EmptyLabels(), labels.EmptyLabels(), labels.EmptyLabels(), "", true,
			slog.New(slog.DiscardHandler)))
	}
	p, err := alertproc.New(alertproc.Config{
		Groups: []alertproc.Group{{Name: "g", Every: costEvery, Rules: ours}}, MeterProvider: noop.NewMeterProvider(),
	})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Shutdown(context.Background())
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: promParser, Logger: slog.New(slog.DiscardHandler)})
	group := rules.NewGroup(rules.GroupOptions{
		Name: "g", Interval: costEvery, Rules: theirs,
		Opts: &rules.ManagerOptions{
			NameValidationScheme: model.UTF8Validation, ExternalURL: &url.URL{}, Context: context.Background(),
			AppendableV2: quickAppender{}, Queryable: &service.store, Logger: slog.New(slog.DiscardHandler), ResendDelay: time.Hour,
			Metrics: promMetrics, Parser: promParser, NotifyFunc: func(context.Context, string, ...*rules.Alert) {},
			QueryFunc: rules.EngineQueryFunc(engine, &service.store),
		},
	})
	var took [2]time.Duration
	var allocs [2]uint64
	evaluate := func(timed bool) {
		service.step()
		for side, f := range [2]func(){
			func() {
				if err := p.Evaluate(context.Background(), service.at, &service.rm); err != nil {
					b.Fatal(err)
				}
			},
			func() { group.Eval(context.Background(), service.at) },
		} {
			if side == 1 && !timed {
				continue // it keeps nothing that would have to be filled
			}
			runtime.GC() // nobody pays for the other's garbage
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begin := time.Now()
			f()
			if timed {
				took[side] += time.Since(begin)
				runtime.ReadMemStats(&after)
				allocs[side] += after.Mallocs - before.Mallocs
			}
		}
	}
	for range costFirst {
		evaluate(false)
	}
	n := 0
	for b.Loop() {
		evaluate(true)
		n++
	}
	want := map[string]float64{}
	for _, r := range group.AlertingRules() {
		if r.LastError() != nil {
			b.Fatal(r.LastError())
		}
		for _, a := range r.ActiveAlerts() {
			want[r.Name()] = a.Value
		}
	}
	alerts := p.Alerts()
	if len(alerts) != 3 || len(want) != 3 {
		b.Fatalf("%d and %d alerts, want 3", len(alerts), len(want))
	}
	for _, a := range alerts {
		// rate() sees 59 of the 60 increases in the minute and extrapolates.
		if math.Abs(a.Value-want[a.Rule]) > 0.02*math.Abs(a.Value) {
			b.Errorf("%s: %v, and %v in Prometheus", a.Rule, a.Value, want[a.Rule])
		}
	}
	b.ReportMetric(0, "ns/op")
	for side, name := range [2]string{"otelnet", "prometheus"} {
		b.ReportMetric(took[side].Seconds()*1e3/float64(n), name+"-ms/tick")
		b.ReportMetric(float64(allocs[side])/float64(n), name+"-allocs/tick")
	}
	b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "ratio")
}
