package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// Each file that users copy is read by the program it is for.
func TestDeployedFilesAreValid(t *testing.T) {
	for name, c := range map[string]struct {
		path string
		args []string
	}{
		"collector":    {stack.CollectorBinary(t), []string{"validate", "--config", stack.CollectorConfig()}},
		"tiers":        {"deploy/collector/validate.sh", []string{stack.CollectorBinary(t)}},
		"prometheus":   {stack.Program(t, "promtool", "prometheus"), []string{"check", "config", "deploy/prometheus/prometheus.yml"}},
		"rules":        {stack.Program(t, "promtool", "prometheus"), []string{"test", "rules", "e2e/testdata/rules_test.yml"}},
		"alertmanager": {stack.Program(t, "amtool", "prometheus-alertmanager"), []string{"check-config", "deploy/alertmanager/alertmanager.yml"}},
		"compose":      {stack.Program(t, "docker-compose", "docker-compose"), []string{"--profile", "grafana", "config", "-q"}},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(c.path, "/") && !filepath.IsAbs(c.path) {
				c.path = filepath.Join(stack.Root(), c.path)
			}
			cmd := exec.CommandContext(t.Context(), c.path, c.args...)
			cmd.Dir = stack.Root()
			cmd.Env = append(os.Environ(), "OTELCOL_STORAGE_DIR="+t.TempDir())
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
			}
		})
	}
}

// The compose file's rules are the demo's own and one more place to tell; nothing else may differ.
func TestComposeRulesAreTheDemosOwn(t *testing.T) {
	own, err := os.ReadFile(filepath.Join(stack.Root(), "cmd", "demo-service", "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	composed, err := os.ReadFile(filepath.Join(stack.Root(), "deploy", "demo", "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	added, ok := strings.CutPrefix(string(composed), string(own))
	if !ok || strings.Count(added, "notify:") != 1 {
		t.Errorf("deploy/demo/rules.yaml is not cmd/demo-service/rules.yaml followed by notify, but ends with:\n%s", added)
	}
}

// metricName finds the metrics of a dashboard's query: names before a brace.
var metricName = regexp.MustCompile(`[a-z_:]+\{`)

// The dashboard's queries run, and ask for metrics that the service really sends under these names.
func TestDashboardMatchesWhatArrives(t *testing.T) {
	p := startPipeline(t)
	stack.StartDemo(t, p.dir, stack.DemoConfig{
		OTLPEndpoint: p.collector.GRPCEndpoint,
		Args:         []string{"-load", "50"}, // its own load, for the sake of its TLS, dials, resets and slow readers
	})

	queries := dashboardQueries(t)
	if len(queries) < 20 {
		t.Fatalf("the dashboard has %d queries, too few to be true", len(queries))
	}
	var wanted []string
	for _, query := range queries {
		for _, name := range metricName.FindAllString(query, -1) {
			wanted = append(wanted, strings.TrimSuffix(name, "{"))
		}
	}
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)

	stack.Until(t, 90*time.Second, "the dashboard's metrics in Prometheus", func(ctx context.Context) error {
		names, err := p.prometheus.Names(ctx)
		if err != nil {
			return err
		}
		var missing []string
		for _, name := range wanted {
			if !slices.Contains(names, name) {
				missing = append(missing, name)
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("missing: %s\nthere: %s", strings.Join(missing, " "), strings.Join(names, " "))
		}
		return nil
	})
	for _, query := range queries {
		if _, err := p.prometheus.Query(t.Context(), query); err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
	// The service has sent all it has by now, and neither store has refused any of it.
	for line := range strings.Lines(p.collector.Log(t)) {
		if strings.Contains(line, "\terror\t") {
			t.Errorf("the Collector's log: %s", line)
		}
	}
}

func dashboardQueries(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(stack.Root(), "deploy", "grafana", "dashboards", "otelnet.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$job", "demo-service", "$instance", ".*", "$__rate_interval", "1m")
	var queries []string
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries = append(queries, variables.Replace(target.Expr))
		}
	}
	return queries
}
