package agent_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestArrows keeps the dependencies between the rooms pointing downwards, and what is heavy out of the packages that
// are useful alone.
func TestArrows(t *testing.T) {
	const (
		own       = "github.com/otelnet/agent"
		sdk       = "go.opentelemetry.io/otel/sdk"
		exporters = "go.opentelemetry.io/otel/exporters"
		grpc      = "google.golang.org/grpc"
	)
	rooms := func(names ...string) []string {
		for i, n := range names {
			names[i] = own + "/" + n
		}
		return names
	}
	tests := []struct {
		pkg       string
		allowed   []string // of our own packages, beside internal ones
		forbidden []string
	}{
		{"otelnet", nil, []string{sdk, exporters, grpc}},
		{"runtimemetrics", nil, []string{exporters, grpc}},
		{"alertproc", nil, []string{exporters, grpc, "net/http/pprof"}},
		{"history", nil, []string{exporters, grpc}},
		{"spool", nil, []string{sdk, exporters}},
		{"capture", rooms("history", "alertproc", "otelnet"), []string{exporters, grpc, "net/http/pprof"}},
		{"report", rooms("history"), []string{exporters, grpc, "net/http/pprof"}},
		{"admin", rooms("report", "capture", "history", "alertproc", "otelnet"), []string{exporters, grpc, "net/http/pprof"}},
	}
	for _, test := range tests {
		t.Run(test.pkg, func(t *testing.T) {
			for _, dep := range dependencies(t, "./"+test.pkg) {
				if dep == own+"/"+test.pkg {
					continue
				}
				if within(dep, own) && !within(dep, own+"/internal") && !within(dep, append(test.allowed, own+"/"+test.pkg)...) {
					t.Errorf("%s imports %s, which is not below it", test.pkg, dep)
				}
				if within(dep, test.forbidden...) {
					t.Errorf("%s imports %s, which its users should not have to carry", test.pkg, dep)
				}
			}
		})
	}
}

// within tells whether pkg is one of roots or below one.
func within(pkg string, roots ...string) bool {
	for _, root := range roots {
		if pkg == root || strings.HasPrefix(pkg, root+"/") {
			return true
		}
	}
	return false
}

func dependencies(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", pkg).Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v", pkg, err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 10 {
		t.Fatalf("go list -deps %s named %d packages, want many", pkg, len(deps))
	}
	return deps
}
