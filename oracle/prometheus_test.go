package oracle

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/notifier"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
)

var (
	promParser = parser.NewParser(parser.Options{})
	promEngine = promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1e6, Timeout: time.Minute, Parser: promParser, LookbackDelta: time.Hour,
		Logger: slog.New(slog.DiscardHandler),
	})
	promMetrics = rules.NewGroupMetrics(prometheus.NewRegistry())
)

// judge is Prometheus' side.
type judge struct {
	tb       testing.TB
	scenario *scenario
	store    *store
	group    *rules.Group
	failing  bool
	unborn   bool      // do not tell when counters were created
	last     time.Time // successful scrape
	sent     []string
}

func newJudge(tb testing.TB, s *scenario) *judge {
	j := &judge{tb: tb, scenario: s, store: newStore()}
	j.group = j.newGroup(s.rule)
	return j
}

func (j *judge) newGroup(r spec) *rules.Group {
	query := rules.EngineQueryFunc(promEngine, j.store)
	return rules.NewGroup(rules.GroupOptions{
		Name: "g", Interval: j.scenario.every, Limit: j.scenario.limit, Rules: r.prometheus(j.tb),
		Opts: &rules.ManagerOptions{
			NameValidationScheme: model.UTF8Validation,
			ExternalURL:          &url.URL{}, Context: context.Background(), AppendableV2: j.store, Queryable: j.store,
			Logger: slog.New(slog.DiscardHandler), ResendDelay: j.scenario.resend, Metrics: promMetrics, Parser: promParser,
			NotifyFunc: rules.SendAlerts(j, ""),
			QueryFunc: func(ctx context.Context, q string, t time.Time) (promql.Vector, error) {
				if j.failing {
					return nil, errors.New("could not be collected")
				}
				return query(ctx, q, t)
			},
		},
	})
}

// Send is called by rules.SendAlerts.
func (j *judge) Send(alerts ...*notifier.Alert) {
	for _, a := range alerts {
		j.sent = append(j.sent, message(a.Labels.Map(), a.Annotations.Map(), a.StartsAt, a.EndsAt))
	}
}

// run goes through the scenario. The result has an entry for each step that is evaluated. clock gives the time that
// Prometheus sees at a step; with a negative one it sees nothing of the step.
func (j *judge) run(clock func(*step) time.Duration) []outcome {
	var all []outcome
	for i := range j.scenario.steps {
		st := &j.scenario.steps[i]
		offset := clock(st)
		if offset < 0 {
			if j.scenario.evaluated(st) {
				all = append(all, all[len(all)-1])
			}
			continue
		}
		at := start.Add(offset)
		if st.reload != nil {
			next := j.newGroup(*st.reload)
			next.CopyState(j.group)
			j.group = next
			j.forgetSent()
		}
		j.failing = st.failed
		if !st.failed {
			j.store.scrape(at, j.last, j.samples(st))
			j.last = at
		}
		if !j.scenario.evaluated(st) {
			continue
		}
		j.sent = nil
		j.group.Eval(j.tb.Context(), at)
		all = append(all, j.outcome())
	}
	return all
}

// forgetSent is the listed difference that a reload tells the new notifiers everything.
func (j *judge) forgetSent() {
	for _, r := range j.group.AlertingRules() {
		r.ForEachActiveAlert(func(a *rules.Alert) { a.LastSentAt = time.Time{} })
	}
}

func (j *judge) outcome() outcome {
	o := outcome{alerts: map[string]alert{}, sent: j.sent}
	slices.Sort(o.sent)
	for _, r := range j.group.AlertingRules() {
		o.failed = o.failed || r.LastError() != nil
		for _, a := range r.ActiveAlerts() {
			o.alerts[labels.FromMap(plain(a.Labels.Map())).String()] = alert{a.State.String(), a.ActiveAt, a.FiredAt, math.Float64bits(a.Value)}
		}
	}
	return o
}

// samples is what Prometheus would have scraped.
func (j *judge) samples(st *step) []scraped {
	var all []scraped
	named := func(name string, attrs string, extra ...string) labels.Labels {
		b := labels.NewBuilder(labels.FromMap(attributes(attrs))).Set("__name__", name)
		for i := 0; i < len(extra); i += 2 {
			b.Set(extra[i], extra[i+1])
		}
		return b.Labels()
	}
	counts := !j.unborn && (j.scenario.rule.kind == counter || j.scenario.rule.kind == deltaCounter)
	for attrs, v := range st.points {
		all = append(all, scraped{named("m", attrs), v, counts})
	}
	for attrs, counts := range st.buckets {
		total := 0.0
		for i, n := range counts {
			total += float64(n)
			le := "+Inf"
			if i < len(bounds) {
				le = strconv.FormatFloat(bounds[i], 'g', -1, 64)
			}
			all = append(all, scraped{named("m_bucket", attrs, "le", le), total, true})
		}
		all = append(all, scraped{named("m_count", attrs), total, true})
	}
	return all
}
