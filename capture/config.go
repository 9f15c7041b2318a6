package capture

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/otelnet/agent/history"
	"github.com/otelnet/agent/otelnet"
)

// Defaults of [Config].
const (
	DefaultMaxBytes      = 64 << 20
	DefaultMaxCaptures   = 20
	DefaultMaxAge        = 7 * 24 * time.Hour
	DefaultCoolDown      = 10 * time.Minute
	DefaultPerHour       = 4
	DefaultDeadline      = 20 * time.Second
	DefaultCPUTime       = 5 * time.Second
	DefaultMaxGoroutines = 100_000
	DefaultTraceWindow   = 10 * time.Second
	DefaultTraceBytes    = 10 << 20
	DefaultMetricWindow  = 10 * time.Minute
)

// continuousTime is how long a continuous CPU profile lasts.
const continuousTime = 10 * time.Second

// Config says where captures go and what they may cost. Only Dir is needed; zero means the default everywhere.
type Config struct {
	// Dir is the directory to keep captures in. It is made with mode 0700 if it is not there. Each capture is a
	// directory in it; whatever else lies there is left alone. Two processes should not share it, as each would hold
	// the other's captures to its own quota; the second one reports it to otel.Handle.
	Dir string

	// Connections returns a page of the connection table, as [otelnet.ConnectionsPage] does. Nil means that there is none.
	Connections func(otelnet.Filter) ([]otelnet.ConnInfo, int)
	// History has the metrics. Nil means that there are none.
	History *history.Store
	// Quiet says whether no alert is firing. Nil means that it always is.
	Quiet func() bool

	// FlightRecorder keeps the execution trace of the last seconds in memory, so that a capture can show what led up to
	// it. The process has only one: if it is taken, captures go without. It costs CPU time with each scheduling event and
	// system call: 1.6 to 2 µs for an HTTP request, which is a fifth of one that does nothing and half a percent of one that works
	// for a third of a millisecond; and up to twice TraceBytes of memory. TraceWindow and TraceBytes do not change the time.
	FlightRecorder bool
	TraceWindow    time.Duration // how far back it reaches, memory allowing; 0 means 10 s
	TraceBytes     int           // what it may hold; 0 means 10 MiB

	// Continuous is how often to record ten seconds of CPU time and mutexes, the heap and the goroutines when no alert
	// fires, as what to compare an incident with. At least a minute; 0 means never. A quarter of MaxCaptures is kept.
	Continuous time.Duration

	MaxBytes    int64         // what all captures may take up; 0 means 64 MiB. One may take a quarter of it
	MaxCaptures int           // how many are kept; 0 means 20
	MaxAge      time.Duration // how long they are kept; 0 means 7 days

	CoolDown time.Duration // between two captures for one rule; 0 means 10 min
	PerHour  int           // captures for alerts in an hour; 0 means 4
	Deadline time.Duration // of one capture in all; 0 means 20 s
	CPUTime  time.Duration // of a CPU profile; 0 means 5 s

	MaxGoroutines int // with more there is no goroutine profile; 0 means 100,000

	Service, Instance string // who this is, for the manifest

	// MeterProvider makes otelnet.agent.captures and otelnet.agent.capture.size. Nil means otel.GetMeterProvider().
	MeterProvider metric.MeterProvider
}

// check fills in the defaults and says what is wrong.
func (c *Config) check() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("field Dir is empty"))
	}
	if c.Continuous != 0 && c.Continuous < time.Minute {
		errs = append(errs, fmt.Errorf("field Continuous is %s; allowed: a minute or more, or 0 for never", c.Continuous))
	}
	if c.Continuous < 0 {
		c.Continuous = 0
	}
	for _, f := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
	}{
		{"TraceWindow", &c.TraceWindow, DefaultTraceWindow},
		{"MaxAge", &c.MaxAge, DefaultMaxAge},
		{"CoolDown", &c.CoolDown, DefaultCoolDown},
		{"Deadline", &c.Deadline, DefaultDeadline},
		{"CPUTime", &c.CPUTime, DefaultCPUTime},
	} {
		switch {
		case *f.value < 0:
			errs = append(errs, fmt.Errorf("field %s is %s; allowed: a positive duration, or 0 for %s", f.name, *f.value, f.zero))
		case *f.value == 0:
			*f.value = f.zero
		}
	}
	for _, f := range []struct {
		name  string
		value *int
		zero  int
	}{
		{"TraceBytes", &c.TraceBytes, DefaultTraceBytes},
		{"MaxCaptures", &c.MaxCaptures, DefaultMaxCaptures},
		{"PerHour", &c.PerHour, DefaultPerHour},
		{"MaxGoroutines", &c.MaxGoroutines, DefaultMaxGoroutines},
	} {
		switch {
		case *f.value < 0:
			errs = append(errs, fmt.Errorf("field %s is %d; allowed: a positive number, or 0 for %d", f.name, *f.value, f.zero))
		case *f.value == 0:
			*f.value = f.zero
		}
	}
	switch {
	case c.MaxBytes < 0:
		errs = append(errs, fmt.Errorf("field MaxBytes is %d; allowed: a positive number, or 0 for %d", c.MaxBytes, DefaultMaxBytes))
	case c.MaxBytes == 0:
		c.MaxBytes = DefaultMaxBytes
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	return nil
}
