package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// dashboard is what is looked at of Grafana's JSON.
type dashboard struct {
	UID        string
	Templating struct {
		List []struct {
			Name       string
			Datasource datasource
			Query      struct{ Query string }
		}
	}
	Panels []struct {
		ID         int
		Type       string
		Title      string
		Datasource datasource
		GridPos    struct{ H, W, X, Y int }
		Targets    []struct {
			RefID      string
			Datasource datasource
			Expr       string // for Prometheus
			Query      string // for InfluxDB
		}
	}
}

type datasource struct{ Type, UID string }

// Every query of every dashboard has an answer, and it holds numbers: against the real stores, with the demo running and its own
// load, its TLS, failures and slow readers. The recording rules that the fleet's dashboard reads run as deployed, only more often.
func TestDashboardsShowData(t *testing.T) {
	dir := stack.Dir(t)
	prometheusAddr, collectorMetrics := stack.FreeAddr(t), stack.FreeAddr(t)
	prometheus := stack.StartPrometheusWith(t, dir, prometheusAddr,
		"collector:8888", collectorMetrics,
		"localhost:9090", prometheusAddr,
		"_interval: 15s", "_interval: 1s",
		"interval: 30s", "interval: 1s")
	influx := stack.StartInfluxDB(t, dir)
	host, port, err := net.SplitHostPort(collectorMetrics)
	if err != nil {
		t.Fatal(err)
	}
	collector := stack.StartCollector(t, dir, prometheus.URL, influx.URL, "COLLECTOR_METRICS_HOST="+host, "COLLECTOR_METRICS_PORT="+port)
	stack.StartDemo(t, dir, stack.DemoConfig{OTLPEndpoint: collector.GRPCEndpoint, Args: []string{"-load", "50"}})

	variables := strings.NewReplacer("$job", "demo-service", "$instance", ".*", "$__rate_interval", "30s",
		"$timeFilter", "time > now() - 5m", "$__interval", "5s")
	ask := func(ctx context.Context, source datasource, query string) (int, error) {
		if source.Type == "influxdb" {
			return influxNumbers(ctx, influx.URL, query)
		}
		samples, err := prometheus.Query(ctx, query)
		samples = slices.DeleteFunc(samples, func(s stack.Sample) bool { return math.IsNaN(s.Value) })
		return len(samples), err
	}
	for name, d := range dashboards(t) {
		type question struct {
			where  string
			source datasource
			query  string
		}
		var open []question
		for _, v := range d.Templating.List {
			call := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(v.Query.Query)
			if call == nil {
				t.Errorf("%s: variable %s: %q is no label_values", name, v.Name, v.Query.Query)
				continue
			}
			open = append(open, question{"variable " + v.Name, v.Datasource, fmt.Sprintf(`count by (%s) (%s)`, call[2], variables.Replace(call[1]))})
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				open = append(open, question{fmt.Sprintf("%s (%d%s)", p.Title, p.ID, target.RefID), target.Datasource, variables.Replace(target.Expr + target.Query)})
			}
		}
		if len(open) < 20 {
			t.Errorf("%s has %d queries, too few to be true", name, len(open))
		}
		t.Logf("%s: %d queries", name, len(open))
		stack.Until(t, 90*time.Second, name+" shows data everywhere", func(ctx context.Context) error {
			var errs []error
			open = slices.DeleteFunc(open, func(q question) bool {
				n, err := ask(ctx, q.source, q.query)
				if err == nil && n == 0 {
					err = errors.New("no data")
				}
				if err != nil {
					errs = append(errs, fmt.Errorf("%s: %s: %w", q.where, q.query, err))
				}
				return err == nil
			})
			return errors.Join(errs...)
		})
	}
	// The service has sent all it has by now, and neither store has refused any of it.
	for line := range strings.Lines(collector.Log(t)) {
		if strings.Contains(line, "\terror\t") {
			t.Errorf("the Collector's log: %s", line)
		}
	}
}

// What Grafana would only tell when somebody looks: a data source that is not provisioned, panels upon each other, ids given twice,
// links to a dashboard that is not there.
func TestDashboardsAreWhole(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(stack.Root(), "deploy", "grafana", "provisioning", "datasources", "datasources.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var provisioned struct {
		Datasources []struct{ UID, Type string } // by their lower-case names
	}
	if err := yaml.Unmarshal(text, &provisioned); err != nil {
		t.Fatal(err)
	}
	known := make(map[datasource]bool)
	for _, s := range provisioned.Datasources {
		known[datasource{s.Type, s.UID}] = true
	}
	uids := make(map[string]string)
	all := dashboards(t)
	if len(all) != 2 {
		t.Errorf("%d dashboards, want that of a service and that of the fleet", len(all))
	}
	for name, d := range all {
		if other := uids[d.UID]; d.UID == "" || other != "" {
			t.Errorf("%s has the uid %q, as has %s", name, d.UID, other)
		}
		uids[d.UID] = name
		taken, ids := make(map[[2]int]string), make(map[int]bool)
		for _, p := range d.Panels {
			if ids[p.ID] {
				t.Errorf("%s: the id %d is given twice", name, p.ID)
			}
			ids[p.ID] = true
			if p.GridPos.X+p.GridPos.W > 24 {
				t.Errorf("%s: %s stands out of the grid", name, p.Title)
			}
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if on := taken[[2]int{x, y}]; on != "" {
						t.Fatalf("%s: %s lies upon %s", name, p.Title, on)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
			for _, target := range p.Targets {
				if !known[target.Datasource] || target.Datasource != p.Datasource {
					t.Errorf("%s: %s asks %v, which is not provisioned or not the panel's", name, p.Title, target.Datasource)
				}
			}
			if p.Type != "row" && len(p.Targets) == 0 {
				t.Errorf("%s: %s asks nothing", name, p.Title)
			}
		}
	}
	for name := range all {
		text, err := os.ReadFile(filepath.Join(stack.Root(), "deploy", "grafana", "dashboards", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range regexp.MustCompile(`"/d/([\w-]+)`).FindAllStringSubmatch(string(text), -1) {
			if uids[link[1]] == "" {
				t.Errorf("%s leads to %s, which is not there", name, link[1])
			}
		}
	}
}

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(stack.Root(), "deploy", "grafana", "dashboards", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]dashboard)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[filepath.Base(file)] = d
	}
	return all
}

// influxNumbers counts the values, other than null, that an InfluxQL query yields.
func influxNumbers(ctx context.Context, base, query string) (int, error) {
	body, err := stack.Get(ctx, http.DefaultClient, base+"/query?db=otel&epoch=ms&q="+url.QueryEscape(query))
	if err != nil {
		return 0, err
	}
	var answer struct {
		Results []struct {
			Error  string
			Series []struct{ Values [][]any }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, err
	}
	n := 0
	for _, r := range answer.Results {
		if r.Error != "" {
			return 0, errors.New(r.Error)
		}
		for _, s := range r.Series {
			for _, row := range s.Values {
				for _, v := range row[1:] { // after the time
					if v != nil {
						n++
					}
				}
			}
		}
	}
	return n, nil
}
