package report

import (
	"context"
	"time"
)

// Source gives samples. Build calls Describe once and then Read for one metric after the other.
type Source interface {
	// Describe tells what there is in (from, until]. With no samples at all it returns an error that wraps [ErrNoSamples].
	Describe(ctx context.Context, from, until time.Time) (*Scope, error)
	// Read calls add with every sample of m in (from, until], a series or a stretch of it at a time. Series that agree in the
	// attributes by may have been merged into one. The slices may be reused after add returns. m is one of Scope.Metrics.
	Read(ctx context.Context, m Metric, by []string, from, until time.Time, add func(*Series)) error
}

// Scope is what a source knows about a range before any of its metrics is read.
type Scope struct {
	Service   string
	Version   string
	Instances []string
	Source    string // what is asked, for a person
	// Times are the moments at which any process of the service was sampled, ascending, in milliseconds since 1970. One before
	// the range may be among them.
	Times []int64
	// GapAfter is the distance of two of Times from which nothing is assumed about what lies between them.
	GapAfter time.Duration
	// Restarts are stretches between two processes that are shorter than that. Gauges are not drawn through them.
	Restarts []Gap
	Metrics  []Metric
	Notes    []string // what the source cannot give, a sentence each; Read may add some
}

// Kind is how a metric's samples are read.
type Kind int

// The kinds of metrics.
const (
	Gauge     Kind = iota // a value at each time; its series are added up
	Counter               // increases
	Histogram             // increases of count, sum and buckets
)

// Metric names one. Name and Unit are OpenTelemetry's where the source knows them.
type Metric struct {
	Name string
	Unit string
	Kind Kind
	ID   string // the source's own name for it
}

// Series are samples of one series of a metric, or of several merged ones, in one process.
type Series struct {
	Process    int // tells processes apart: gauges of one are added up at the same times
	Attributes map[string]string
	// Begin is where the first of Values begins, if it is an increase. Each further one begins at the time before.
	Begin  int64
	Times  []int64   // ascending, milliseconds since 1970
	Values []float64 // a gauge's values, or increases of a counter or a histogram's count; NaN where there is none
	Sums   []float64 // increases of a histogram's sum; NaN where there is none
	Bounds []float64 // upper bounds of a histogram's buckets, ascending, one fewer than there are buckets
	// Buckets are the increases of each bucket: Buckets[bucket][time]. An empty column is all zero.
	Buckets [][]uint64
}

// sourceError is a constant error.
type sourceError string

func (e sourceError) Error() string { return string(e) }

// ErrNoSamples is wrapped by errors of sources and of Build when a range holds nothing.
const ErrNoSamples = sourceError("no samples")
