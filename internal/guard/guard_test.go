package guard

import (
	"context"
	"errors"
	"os"
	"testing"

	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func TestCall(t *testing.T) {
	failed := errors.New("failed")
	for name, test := range map[string]struct {
		f    func() error
		want string
	}{
		"well":       {func() error { return nil }, ""},
		"with error": {func() error { return failed }, "failed"},
		"panic":      {func() error { panic("index out of range") }, "the export panicked: index out of range"},
		"runtime":    {func() error { return []error{}[len(os.Args[:0])] }, "the export panicked: runtime error: index out of range [0] with length 0"},
	} {
		got := ""
		if err := Call("the export", test.f); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// What a callback observed before it panicked is reported, and so is what others observe.
func TestCallback(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("guard")
	one, _ := meter.Int64ObservableGauge("one")
	two, _ := meter.Int64ObservableGauge("two")
	for _, c := range []struct {
		gauge metric.Int64ObservableGauge
		then  func()
	}{{one, func() { panic("lost") }}, {two, func() {}}} {
		if _, err := meter.RegisterCallback(Callback("a callback", func(_ context.Context, o metric.Observer) error {
			o.ObserveInt64(c.gauge, 7)
			c.then()
			return nil
		}), c.gauge); err != nil {
			t.Fatal(err)
		}
	}
	var rm metricdata.ResourceMetrics
	err := reader.Collect(t.Context(), &rm)
	if err == nil || err.Error() != "a callback panicked: lost" {
		t.Errorf("collect: %v", err)
	}
	if len(rm.ScopeMetrics) != 1 || len(rm.ScopeMetrics[0].Metrics) != 2 {
		t.Errorf("collected: %+v, want both gauges", rm.ScopeMetrics)
	}
}
