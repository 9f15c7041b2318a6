package history

import (
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Defaults of [Config].
const (
	DefaultKeep      = time.Hour
	DefaultFine      = 10 * time.Minute
	DefaultCoarse    = 5 * time.Second
	DefaultGapAfter  = 12 * time.Second // a little over two ticks of 5 s
	DefaultMaxSeries = 4096
	DefaultMaxBytes  = 16 << 20
)

// Config bounds a [Store]. The zero Config means the defaults.
type Config struct {
	// Keep is how far back the store reaches; 0 means an hour. Snapshots are let go in blocks of 64, so up to 63 older ones
	// may still be held and answered.
	Keep time.Duration
	// Fine is how long each snapshot is held; 0 means 10 minutes. Of older ones only the last in each Coarse is kept, so that
	// nothing but resolution is lost: counters and histograms are cumulative.
	Fine time.Duration
	// Coarse is the distance of snapshots older than Fine; 0 means 5 s. Choose GapAfter above it.
	Coarse time.Duration
	// File is where [Store.Save] writes the store and New finds what the process before has saved; "" for nowhere.
	File string
	// GapAfter is the distance between two snapshots from which it counts as a gap: choose a little over two of the longest
	// regular ticks. 0 means 12 s. Less than one and a half Coarse counts as that: older snapshots would all have gaps between them.
	GapAfter time.Duration
	// MaxSeries bounds the number of series held; 0 means 4096. Samples of further series are dropped and counted.
	MaxSeries int
	// MaxBytes bounds the memory of samples and series, as the store estimates it; 0 means 16 MiB. When it is reached the
	// oldest block goes early. With one block left, new series are dropped and counted instead.
	MaxBytes int
}

// Store is a ring of recent metric snapshots. It is safe for concurrent use: one Append at a time, any number of queries.
type Store struct {
	cfg Config

	mu       sync.RWMutex
	blocks   []block // oldest first; never empty after the first Append
	spare    *[blockSlots]int64
	nextSlot uint64
	metrics  map[metricKey]*metric
	order    []*metric // in the order they were first seen, so that answers do not shuffle
	series   int
	bytes    int
	stats    Stats
	restarts []uint64      // slots at which another process began to append, ascending
	loadErr  error         // why Config.File was not used
	changed  chan struct{} // closed by the next Append; nil while nobody waits
}

// block is the times of 64 consecutive snapshots; each series has a chunk of samples for it, or none.
type block struct {
	id    uint64 // slot / blockSlots
	n     int
	times *[blockSlots]int64 // Unix nanoseconds
	thin  bool               // only the last snapshot in each Coarse is left; n is smaller, and the slots after it are empty
}

const blockSlots = 64

// Stats tells what a [Store] holds and what it had to drop since it was made.
type Stats struct {
	Snapshots      int       // held now
	Series         int       // held now
	Bytes          int       // estimated memory of samples and series
	Oldest         time.Time // the oldest snapshot held; zero when empty
	Newest         time.Time // the newest; zero when empty
	DroppedSamples uint64    // samples of series that did not fit MaxSeries or MaxBytes
	Unsupported    uint64    // exponential histograms and summaries, which the store does not keep
	OutOfOrder     uint64    // snapshots not later than the one before, ignored
	SetBack        uint64    // times that the clock was set back and the store began anew
	EarlyBlocks    uint64    // blocks of 64 snapshots let go before their time because of MaxBytes
}

// New returns an empty Store. It fails when a bound is negative. It starts nothing and needs no closing.
func New(cfg Config) (*Store, error) {
	if cfg.Keep < 0 || cfg.Fine < 0 || cfg.Coarse < 0 || cfg.GapAfter < 0 || cfg.MaxSeries < 0 || cfg.MaxBytes < 0 {
		return nil, fmt.Errorf("history: negative bound: Keep %s, Fine %s, Coarse %s, GapAfter %s, MaxSeries %d, MaxBytes %d; 0 means the default",
			cfg.Keep, cfg.Fine, cfg.Coarse, cfg.GapAfter, cfg.MaxSeries, cfg.MaxBytes)
	}
	if cfg.Keep == 0 {
		cfg.Keep = DefaultKeep
	}
	if cfg.Fine == 0 {
		cfg.Fine = DefaultFine
	}
	if cfg.Coarse == 0 {
		cfg.Coarse = DefaultCoarse
	}
	if cfg.GapAfter == 0 {
		cfg.GapAfter = DefaultGapAfter
	}
	cfg.GapAfter = max(cfg.GapAfter, cfg.Coarse+cfg.Coarse/2)
	if cfg.MaxSeries == 0 {
		cfg.MaxSeries = DefaultMaxSeries
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	s := &Store{cfg: cfg, metrics: make(map[metricKey]*metric)}
	if cfg.File != "" {
		s.loadErr = s.load(time.Now())
	}
	return s, nil
}

// LoadError tells why Config.File could not be used when the store was made: a file that cannot be read, and what its name is now, or a
// directory in which none can be made. It is nil when the file was read, or when there was none.
func (s *Store) LoadError() error { return s.loadErr }

// Keep returns how far back the store reaches.
func (s *Store) Keep() time.Duration { return s.cfg.Keep }

// Append adds the snapshot rm as of at. It copies what it keeps; rm may be reused at once. A snapshot that is not later than the
// one before is ignored and counted, and so is a nil one without the count.
func (s *Store) Append(at time.Time, rm *metricdata.ResourceMetrics) {
	if rm == nil {
		return
	}
	now := at.UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.blocks); n > 0 {
		last := s.blocks[n-1]
		newest := last.times[last.n-1]
		switch {
		case newest-now > int64(s.cfg.GapAfter):
			s.beginAnew()
		case now <= newest:
			s.stats.OutOfOrder++
			return
		}
	}
	slot := s.nextSlot
	s.nextSlot++
	s.expire(now)
	s.thinOld(now)
	s.stamp(slot, now)
	for i := range rm.ScopeMetrics {
		sm := &rm.ScopeMetrics[i]
		for j := range sm.Metrics {
			s.ingest(slot, sm.Scope.Name, &sm.Metrics[j])
		}
	}
	for s.bytes > s.cfg.MaxBytes && len(s.blocks) > 1 {
		s.dropOldest(false)
		s.stats.EarlyBlocks++
	}
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// Changed returns a channel that the next Append closes. To follow the store without missing a snapshot, take the channel first,
// then query, then wait.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// Stats returns what the store holds and has dropped.
func (s *Store) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := s.stats
	st.Series, st.Bytes = s.series, s.bytes
	for _, b := range s.blocks {
		st.Snapshots += b.n
	}
	if n := len(s.blocks); n > 0 {
		last := s.blocks[n-1]
		st.Oldest, st.Newest = time.Unix(0, s.blocks[0].times[0]), time.Unix(0, last.times[last.n-1])
	}
	return st
}

// stamp records the time of slot, opening a block when the slot begins one.
func (s *Store) stamp(slot uint64, now int64) {
	id := slot / blockSlots
	if n := len(s.blocks); n == 0 || s.blocks[n-1].id != id {
		times := s.spare
		if s.spare = nil; times == nil {
			times = new([blockSlots]int64)
			s.bytes += blockSlots * 8
		}
		s.blocks = append(s.blocks, block{id: id, times: times})
	}
	b := &s.blocks[len(s.blocks)-1]
	b.times[b.n] = now
	b.n++
}

// beginAnew forgets all samples and series.
func (s *Store) beginAnew() {
	s.blocks, s.spare, s.nextSlot, s.restarts = nil, nil, 0, nil
	s.metrics, s.order, s.series, s.bytes = make(map[metricKey]*metric), nil, 0, 0
	s.stats.SetBack++
}

// expire lets go of the blocks that lie wholly before Keep.
func (s *Store) expire(now int64) {
	cutoff := now - int64(s.cfg.Keep)
	for len(s.blocks) > 1 || len(s.blocks) == 1 && s.blocks[0].n == blockSlots {
		if b := s.blocks[0]; b.times[b.n-1] >= cutoff {
			return
		}
		s.dropOldest(true)
	}
}

// dropOldest lets go of the oldest block. With reuse each series keeps one of its buffers for the next block, so that a store
// that has gone round once allocates no more.
func (s *Store) dropOldest(reuse bool) {
	b := s.blocks[0]
	for len(s.restarts) > 0 && s.restarts[0] <= b.id*blockSlots {
		s.restarts = s.restarts[1:]
	}
	copy(s.blocks, s.blocks[1:])
	s.blocks[len(s.blocks)-1] = block{}
	s.blocks = s.blocks[:len(s.blocks)-1]
	if reuse && s.spare == nil {
		s.spare = b.times
	} else {
		s.bytes -= blockSlots * 8
	}
	for _, m := range s.order {
		s.bytes -= m.drop(b.id, reuse, &s.series)
	}
}
