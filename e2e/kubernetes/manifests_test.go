package kubernetes

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// cluster is what an apply would create.
type cluster struct {
	namespaces map[string]*corev1.Namespace
	configs    map[string]*corev1.ConfigMap // these and the following by namespace/name
	accounts   map[string]*corev1.ServiceAccount
	services   map[string]*corev1.Service
	priorities map[string]*schedulingv1.PriorityClass
	scalers    map[string]*autoscalingv2.HorizontalPodAutoscaler
	budgets    map[string]*policyv1.PodDisruptionBudget
	policies   map[string]*networkingv1.NetworkPolicy
	workloads  map[string]workload
}

// workload is what makes pods: a Deployment, a DaemonSet or a StatefulSet.
type workload struct {
	kind     string
	selector *metav1.LabelSelector
	template corev1.PodTemplateSpec
	claims   []corev1.PersistentVolumeClaim
}

func decoder(t *testing.T) runtime.Decoder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme, schedulingv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

// build puts the repository's manifests together and decodes each.
func build(t *testing.T) *cluster {
	t.Helper()
	return buildDir(t, filepath.Join(stack.Root(), "deploy"))
}

func buildDir(t *testing.T, dir string) *cluster {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{
		map[string]*corev1.Namespace{},
		map[string]*corev1.ConfigMap{},
		map[string]*corev1.ServiceAccount{},
		map[string]*corev1.Service{},
		map[string]*schedulingv1.PriorityClass{},
		map[string]*autoscalingv2.HorizontalPodAutoscaler{},
		map[string]*policyv1.PodDisruptionBudget{},
		map[string]*networkingv1.NetworkPolicy{},
		map[string]workload{},
	}
	decode := decoder(t)
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decode.Decode(text, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", r.CurId(), err)
			continue
		}
		name := r.GetNamespace() + "/" + r.GetName()
		switch o := object.(type) {
		case *corev1.Namespace:
			c.namespaces[o.Name] = o
		case *corev1.ConfigMap:
			c.configs[name] = o
		case *corev1.ServiceAccount:
			c.accounts[name] = o
		case *corev1.Service:
			c.services[name] = o
		case *schedulingv1.PriorityClass:
			c.priorities[o.Name] = o
		case *autoscalingv2.HorizontalPodAutoscaler:
			c.scalers[name] = o
		case *policyv1.PodDisruptionBudget:
			c.budgets[name] = o
		case *networkingv1.NetworkPolicy:
			c.policies[name] = o
		case *appsv1.Deployment:
			c.workloads[name] = workload{"Deployment", o.Spec.Selector, o.Spec.Template, nil}
		case *appsv1.DaemonSet:
			c.workloads[name] = workload{"DaemonSet", o.Spec.Selector, o.Spec.Template, nil}
		case *appsv1.StatefulSet:
			c.workloads[name] = workload{"StatefulSet", o.Spec.Selector, o.Spec.Template, o.Spec.VolumeClaimTemplates}
			if headless := c.services[r.GetNamespace()+"/"+o.Spec.ServiceName]; headless == nil || headless.Spec.ClusterIP != corev1.ClusterIPNone {
				t.Errorf("%s: its serviceName %q is no headless Service", name, o.Spec.ServiceName)
			}
		default:
			t.Errorf("%s: a %T is not looked at here", name, object)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	return c
}

func TestManifestsDecodeStrictly(t *testing.T) {
	c := build(t)
	kinds := make(map[string]string)
	for name, w := range c.workloads {
		kinds[name] = w.kind
	}
	want := map[string]string{
		"otelnet-system/otel-agent": "DaemonSet", "otelnet-system/otel-gateway": "StatefulSet", "otelnet-demo/demo-service": "Deployment",
	}
	if !reflect.DeepEqual(kinds, want) {
		t.Errorf("workloads %v, want %v", kinds, want)
	}
	// The decoder is as strict as is said above.
	text, err := os.ReadFile(filepath.Join(stack.Root(), "deploy", "kubernetes", "network.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n---\n")
	for _, wrong := range []string{
		strings.Replace(first, "podSelector:", "podSelecter:", 1),
		strings.Replace(first, "spec:\n", "spec:\n  policyTypes: [Egress]\n", 1),
		strings.Replace(first, "networking.k8s.io/v1", "networking.k8s.io/v1beta9", 1),
	} {
		if _, _, err := decoder(t).Decode([]byte(wrong), nil, nil); err == nil || wrong == first {
			t.Errorf("decoded without an error:\n%.300s", wrong)
		}
	}
}

// The overlay that docs/kubernetes.md shows does what it says.
func TestOverlayOfTheDocs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(stack.Root(), "docs", "kubernetes.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(text), "    # kustomization.yaml\n")
	example, _, _ = strings.Cut(example, "\n\n")
	const remote = `"https://github.com/otelnet/agent//deploy?ref=main"`
	if !found || !strings.Contains(example, remote) {
		t.Fatalf("docs/kubernetes.md shows no overlay of %s", remote)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	base, err := filepath.Rel(dir, filepath.Join(stack.Root(), "deploy"))
	if err != nil {
		t.Fatal(err)
	}
	overlay := strings.ReplaceAll(strings.ReplaceAll("\n"+example, "\n    ", "\n"), remote, base)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(overlay), 0o600); err != nil {
		t.Fatal(err)
	}
	c := buildDir(t, dir)
	if got, want := environment(c, "otelnet-system/otel-gateway")["PROMETHEUS_ENDPOINT"], "http://mimir-distributor.mimir.svc:8080"; got != want {
		t.Errorf("the gateways write to %q, want %q", got, want)
	}
	if got := c.workloads["otelnet-demo/demo-service"].template.Spec.Containers[0].Image; got != "REGISTRY/otelnet-demo-service:latest" {
		t.Errorf("the demo's image is %q", got)
	}
}
