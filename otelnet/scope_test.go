package otelnet

import (
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
)

var emptySet = *attribute.EmptySet()

func TestProvidersAreApart(t *testing.T) {
	a, b := newMeter(t), newMeter(t)
	lnA := listen(t, a.option(), WithName("front"))
	lnB := listen(t, b.option(), WithName("front"))
	s1, c1 := pair(t, lnA)
	mustWrite(t, c1, 11)
	mustRead(t, s1, 11)
	pair(t, lnB)
	s3, _ := pair(t, lnB)
	mustWrite(t, s3, 22)
	a.wantIO(0, 11)
	b.wantIO(22, 0)
	if got := a.sum(metricServerActive); got != 1 {
		t.Errorf("first provider: got %d active, want 1", got)
	}
	if got := b.sum(metricServerActive); got != 2 {
		t.Errorf("second provider: got %d active, want 2", got)
	}
}

// Listeners that share a provider and a name share their series.
func TestSameNameIsOneSeries(t *testing.T) {
	m := newMeter(t)
	for range 2 {
		server, _ := pair(t, listen(t, m.option(), WithName("front")))
		mustWrite(t, server, 5)
	}
	m.wantIO(10, 0)
	if got := len(m.attrSets(metricServerConnections)); got != 1 {
		t.Errorf("series: got %d, want 1", got)
	}
}

// What was made before the global provider was set feeds it, together with what is made afterwards.
func TestGlobalProviderSetLater(t *testing.T) {
	if otel.GetMeterProvider() != unsetProvider {
		t.Skip("the global provider can be set for the first time once in a process")
	}
	before := listen(t, WithName("front"))
	s1, c1 := pair(t, before)
	mustWrite(t, c1, 100)
	mustRead(t, s1, 100)

	m := newMeter(t)
	otel.SetMeterProvider(m.provider)
	after := listen(t, WithName("front"))
	explicit := listen(t, WithName("front"), m.option())
	s2, c2 := pair(t, after)
	mustWrite(t, c2, 20)
	mustRead(t, s2, 20)
	s3, c3 := pair(t, explicit)
	mustWrite(t, c3, 3)
	mustRead(t, s3, 3)

	m.wantIO(0, 123)
	if got := m.sum(metricServerActive); got != 3 {
		t.Errorf("active: got %d, want 3", got)
	}
	if got := len(m.attrSets(metricServerConnections)); got != 1 {
		t.Errorf("series: got %d, want 1", got)
	}
	s1.Close()
	if got := m.sum(metricServerDuration); got != 1 {
		t.Errorf("durations of what was made before: got %d, want 1", got)
	}
}
