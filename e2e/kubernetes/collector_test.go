package kubernetes

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// The Collectors get the files of deploy/collector, and the real program accepts them with the arguments and the environment that the
// pods give it.
func TestCollectorsReadTheTestedFiles(t *testing.T) {
	c := build(t)
	for _, name := range []string{"otelnet-system/otel-agent", "otelnet-system/otel-gateway"} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			namespace, _, _ := strings.Cut(name, "/")
			pod := c.workloads[name].template.Spec
			mounted := make(map[string]string) // path in the container to text
			for _, m := range pod.Containers[0].VolumeMounts {
				for _, v := range pod.Volumes {
					if v.Name != m.Name || v.ConfigMap == nil {
						continue
					}
					for file, text := range c.configs[namespace+"/"+v.ConfigMap.Name].Data {
						mounted[m.MountPath+"/"+file] = text
						own, err := os.ReadFile(filepath.Join(stack.Root(), "deploy", "collector", file))
						if err != nil || string(own) != text {
							t.Errorf("%s is not deploy/collector/%s as it stands, %v", file, file, err)
						}
					}
				}
			}
			dir := t.TempDir()
			args := []string{"validate"}
			for _, arg := range pod.Containers[0].Args {
				path, ok := strings.CutPrefix(arg, "--config=")
				if !ok || mounted[path] == "" {
					t.Fatalf("argument %q names no file of %d in the ConfigMap", arg, len(mounted))
				}
				file := filepath.Join(dir, filepath.Base(path))
				if err := os.WriteFile(file, []byte(mounted[path]), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, "--config="+file)
			}
			if len(args)-1 != len(mounted) {
				t.Errorf("%d files are mounted, %d of them read", len(mounted), len(args)-1)
			}
			env := []string{"OTELCOL_STORAGE_DIR=" + dir}
			read := strings.Join(slices.Collect(maps.Values(mounted)), "\n")
			for variable, value := range environment(c, name) {
				env = append(env, variable+"="+value)
				if variable != "GOMEMLIMIT" && !strings.Contains(read, "${env:"+variable+":-") {
					t.Errorf("%s is set, but no file reads it", variable)
				}
			}
			cmd := exec.CommandContext(t.Context(), stack.CollectorBinary(t), args...)
			cmd.Env = env
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", cmd, err, out)
			}
			// Where probes and Prometheus ask, it listens.
			for _, p := range pod.Containers[0].Ports {
				variable := map[string]string{"otlp-grpc": "OTLP_GRPC_ENDPOINT", "otlp-http": "OTLP_HTTP_ENDPOINT", "health": "HEALTH_ENDPOINT"}[p.Name]
				if _, port, _ := strings.Cut(environment(c, name)[variable], ":"); variable != "" && port != fmt.Sprint(p.ContainerPort) {
					t.Errorf("port %s is %d, but %s=%s", p.Name, p.ContainerPort, variable, environment(c, name)[variable])
				}
			}
		})
	}
}

// environment is what the first container of a workload finds in its environment, apart from what only the pod knows.
func environment(c *cluster, name string) map[string]string {
	namespace, _, _ := strings.Cut(name, "/")
	env := make(map[string]string)
	container := c.workloads[name].template.Spec.Containers[0]
	for _, from := range container.EnvFrom {
		for k, v := range c.configs[namespace+"/"+from.ConfigMapRef.Name].Data {
			env[k] = v
		}
	}
	for _, e := range container.Env {
		if e.ValueFrom == nil {
			env[e.Name] = e.Value
		}
	}
	return env
}

// The demo's variables refer to ones that stand before them, as Kubernetes wants it, and its flags are the program's.
func TestDemoStartsAsTold(t *testing.T) {
	c := build(t)
	container := c.workloads["otelnet-demo/demo-service"].template.Spec.Containers[0]
	known := make(map[string]bool)
	for _, e := range container.Env {
		for rest := e.Value; ; {
			_, after, found := strings.Cut(rest, "$(")
			if !found {
				break
			}
			name, end, _ := strings.Cut(after, ")")
			if !known[name] {
				t.Errorf("%s refers to %s, which does not stand before it", e.Name, name)
			}
			rest = end
		}
		known[e.Name] = true
	}
	demo := stack.DemoBinary(t)
	args := append(append([]string{}, container.Args...), "-for", "1ms", "-load", "0", "-addr", "127.0.0.1:0", "-admin", "", "-tls", "", "-echo", "")
	cmd := exec.CommandContext(t.Context(), demo, args...)
	cmd.Env = []string{"OTEL_METRICS_EXPORTER=none"}
	for _, e := range container.Env {
		if e.ValueFrom == nil && e.Name != "OTELNET_SPOOL_DIR" {
			cmd.Env = append(cmd.Env, e.Name+"="+expand(e, container.Env))
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", cmd, err, out)
	}
}

// expand replaces $(NAME) as the kubelet does; what comes from the pod becomes the name itself.
func expand(e corev1.EnvVar, all []corev1.EnvVar) string {
	value := e.Value
	for _, other := range all {
		value = strings.ReplaceAll(value, "$("+other.Name+")", strings.ToLower(other.Name))
	}
	return value
}

func quantity(t *testing.T, text string) *resource.Quantity {
	t.Helper()
	q, err := resource.ParseQuantity(text)
	if err != nil {
		t.Fatal(err)
	}
	return &q
}
