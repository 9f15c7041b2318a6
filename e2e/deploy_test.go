package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
		"fleet rules":  {stack.Program(t, "promtool", "prometheus"), []string{"test", "rules", "e2e/testdata/fleet_test.yml"}},
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
