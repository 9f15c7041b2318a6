package kubernetes

import (
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// What each pod has: limits, probes, no rights that it does not need, and everything that it refers to.
func TestPodsAreWhole(t *testing.T) {
	c := build(t)
	for name, w := range c.workloads {
		namespace, own, _ := strings.Cut(name, "/")
		pod := w.template.Spec
		if !matches(t, w.selector, w.template.Labels) {
			t.Errorf("%s: its selector does not match its own pods", name)
		}
		account := c.accounts[namespace+"/"+pod.ServiceAccountName]
		if account == nil || account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken {
			t.Errorf("%s: service account %q is missing, or gives its pods a token that they do not need", name, pod.ServiceAccountName)
		}
		if pod.PriorityClassName != "" && c.priorities[pod.PriorityClassName] == nil {
			t.Errorf("%s: there is no priority class %s", name, pod.PriorityClassName)
		}
		if pod.HostNetwork || pod.HostPID || pod.HostIPC {
			t.Errorf("%s shares a namespace of the node", name)
		}
		restricted := c.namespaces[namespace].Labels["pod-security.kubernetes.io/enforce"] == "restricted"
		if s := pod.SecurityContext; s == nil || s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: no seccomp profile", name)
		} else if nonRoot := s.RunAsNonRoot != nil && *s.RunAsNonRoot; restricted && !nonRoot {
			t.Errorf("%s may run as root, which its namespace forbids", name)
		}
		volumes := make(map[string]bool)
		for _, v := range pod.Volumes {
			volumes[v.Name] = true
			if v.ConfigMap != nil && c.configs[namespace+"/"+v.ConfigMap.Name] == nil {
				t.Errorf("%s: there is no ConfigMap %s", name, v.ConfigMap.Name)
			}
			if v.HostPath != nil && restricted {
				t.Errorf("%s mounts a directory of the node, which its namespace forbids", name)
			}
			if v.EmptyDir != nil && v.EmptyDir.SizeLimit == nil {
				t.Errorf("%s: volume %s may fill the node's disk", name, v.Name)
			}
		}
		for _, claim := range w.claims {
			volumes[claim.Name] = true
		}
		for _, container := range pod.Containers {
			checkContainer(t, own, container)
			for _, m := range container.VolumeMounts {
				if !volumes[m.Name] {
					t.Errorf("%s: there is no volume %s", name, m.Name)
				}
			}
			for _, from := range container.EnvFrom {
				if c.configs[namespace+"/"+from.ConfigMapRef.Name] == nil {
					t.Errorf("%s: there is no ConfigMap %s", name, from.ConfigMapRef.Name)
				}
			}
		}
	}
}

func checkContainer(t *testing.T, where string, container corev1.Container) {
	t.Helper()
	r := container.Resources
	if r.Limits.Memory().IsZero() || r.Requests.Memory().IsZero() || r.Requests.Cpu().IsZero() || r.Requests.Memory().Cmp(*r.Limits.Memory()) > 0 {
		t.Errorf("%s: requests %v, limits %v: want memory and CPU requested, and memory limited", where, r.Requests, r.Limits)
	}
	ports := make(map[string]bool)
	for _, p := range container.Ports {
		ports[p.Name] = true
	}
	for kind, p := range map[string]*corev1.Probe{"startup": container.StartupProbe, "readiness": container.ReadinessProbe, "liveness": container.LivenessProbe} {
		if p == nil || p.HTTPGet == nil || !ports[p.HTTPGet.Port.StrVal] {
			t.Errorf("%s: its %s probe is missing or asks at no port of the container's", where, kind)
		}
	}
	s := container.SecurityContext
	if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem ||
		s.Capabilities == nil || len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" || len(s.Capabilities.Add) > 0 {
		t.Errorf("%s: security context %+v: want a read-only root, no capabilities and no more rights to be had", where, s)
	}
	// Go's limit lies below the container's, with room for what is not Go's heap.
	for _, e := range container.Env {
		if e.Name != "GOMEMLIMIT" {
			continue
		}
		share := quantity(t, strings.TrimSuffix(e.Value, "B")).AsApproximateFloat64() / r.Limits.Memory().AsApproximateFloat64()
		if share < 0.7 || share > 0.9 {
			t.Errorf("%s: GOMEMLIMIT is %.0f %% of the memory limit, want 70 to 90", where, share*100)
		}
	}
}

// Services, budgets, the autoscaler and policies lead to pods and ports that there are.
func TestReferencesLeadSomewhere(t *testing.T) {
	c := build(t)
	pods := func(namespace string, selector *metav1.LabelSelector) (found []workload) {
		for name, w := range c.workloads {
			if strings.HasPrefix(name, namespace+"/") && matches(t, selector, w.template.Labels) {
				found = append(found, w)
			}
		}
		return found
	}
	hasPort := func(w workload, port intstr.IntOrString) bool {
		for _, container := range w.template.Spec.Containers {
			for _, p := range container.Ports {
				if p.Name == port.StrVal && port.Type == intstr.String || p.ContainerPort == port.IntVal && port.Type == intstr.Int {
					return true
				}
			}
		}
		return false
	}
	for name, s := range c.services {
		chosen := pods(s.Namespace, &metav1.LabelSelector{MatchLabels: s.Spec.Selector})
		if len(chosen) != 1 {
			t.Fatalf("service %s chooses %d workloads, want one", name, len(chosen))
		}
		for _, p := range s.Spec.Ports {
			if !hasPort(chosen[0], p.TargetPort) {
				t.Errorf("service %s: the pods have no port %s", name, &p.TargetPort)
			}
		}
	}
	for name, b := range c.budgets {
		if len(pods(b.Namespace, b.Spec.Selector)) != 1 {
			t.Errorf("budget %s chooses no workload, or several", name)
		}
	}
	for name, h := range c.scalers {
		target := c.workloads[h.Namespace+"/"+h.Spec.ScaleTargetRef.Name]
		if target.kind != h.Spec.ScaleTargetRef.Kind || *h.Spec.MinReplicas < 2 || h.Spec.MaxReplicas <= *h.Spec.MinReplicas {
			t.Errorf("autoscaler %s: %+v scales no workload, or not from two upwards", name, h.Spec)
		}
	}
	guarded := make(map[string]bool)
	for name, p := range c.policies {
		chosen := pods(p.Namespace, &p.Spec.PodSelector)
		if len(chosen) != 1 || len(p.Spec.PolicyTypes) != 2 {
			t.Errorf("policy %s: chooses %d workloads for %v, want one, in and out", name, len(chosen), p.Spec.PolicyTypes)
			continue
		}
		guarded[p.Namespace+"/"+p.Name] = true
		for _, in := range p.Spec.Ingress {
			for _, port := range in.Ports {
				if !hasPort(chosen[0], *port.Port) {
					t.Errorf("policy %s lets in to port %s, which the pods do not have", name, port.Port)
				}
			}
		}
		for _, out := range p.Spec.Egress {
			for _, to := range out.To {
				if to.PodSelector == nil {
					continue
				}
				namespace := p.Namespace
				if to.NamespaceSelector != nil {
					namespace = to.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"]
				}
				if targets := pods(namespace, to.PodSelector); len(targets) != 1 || !hasPort(targets[0], *out.Ports[0].Port) {
					t.Errorf("policy %s lets out to %v port %s, where there is nothing", name, to.PodSelector.MatchLabels, out.Ports[0].Port)
				}
			}
		}
	}
	for name := range maps.Keys(c.workloads) {
		if !guarded[name] {
			t.Errorf("no policy is called %s and says who may talk to it", name)
		}
	}
	// Names in the environment are those of Services.
	for name, want := range map[string]string{
		"otelnet-demo/demo-service OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel-agent.otelnet-system.svc:4317",
		"otelnet-system/otel-agent GATEWAY_NAME":                "otel-gateway.otelnet-system.svc",
	} {
		who, variable, _ := strings.Cut(name, " ")
		got := environment(c, who)[variable]
		host, _, _ := strings.Cut(strings.TrimPrefix(got, "http://"), ":")
		service, namespace, _ := strings.Cut(strings.TrimSuffix(host, ".svc"), ".")
		if got != want || c.services[namespace+"/"+service] == nil {
			t.Errorf("%s is %q, want %q and a Service of that name", name, got, want)
		}
	}
}

func matches(t *testing.T, selector *metav1.LabelSelector, set map[string]string) bool {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return s.Matches(labels.Set(set))
}
