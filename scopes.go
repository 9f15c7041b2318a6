package agent

import (
	"slices"

	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// mergeScopes returns rm with one entry for each scope. The reader puts what producers give behind what the SDK collected, so
// the scope of otelnet, whose histograms come from a producer, is there twice. That is allowed, but some receivers keep one
// of the two. rm itself stays as it is: its slices are the SDK's, which uses them again.
func mergeScopes(rm *metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
	at := make(map[instrumentation.Scope]int, len(rm.ScopeMetrics))
	scopes := make([]metricdata.ScopeMetrics, 0, len(rm.ScopeMetrics))
	for _, sm := range rm.ScopeMetrics {
		i, found := at[sm.Scope]
		if !found {
			at[sm.Scope] = len(scopes)
			scopes = append(scopes, sm)
			continue
		}
		scopes[i].Metrics = append(slices.Clip(scopes[i].Metrics), sm.Metrics...)
	}
	if len(scopes) == len(rm.ScopeMetrics) {
		return rm
	}
	return &metricdata.ResourceMetrics{Resource: rm.Resource, ScopeMetrics: scopes}
}
