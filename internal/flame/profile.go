package flame

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/google/pprof/profile"
)

const maxProfile = 32 << 20 // unpacked

// ErrTooLarge is wrapped by the errors for profiles, and pages, that are beyond the bounds.
var ErrTooLarge = errors.New("too large to show here")

// Parse reads a profile as runtime/pprof writes it, gzipped or not.
func Parse(r io.Reader) (*profile.Profile, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxProfile+1))
	if err != nil {
		return nil, fmt.Errorf("flame: read the profile: %w", err)
	}
	if bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return nil, fmt.Errorf("flame: unpack the profile: %w", err)
		}
		if raw, err = io.ReadAll(io.LimitReader(z, maxProfile+1)); err != nil {
			return nil, fmt.Errorf("flame: unpack the profile: %w", err)
		}
	}
	if len(raw) > maxProfile {
		return nil, fmt.Errorf("flame: a profile of more than %d MB: %w", maxProfile>>20, ErrTooLarge)
	}
	p, err := profile.ParseUncompressed(raw)
	if err != nil {
		return nil, fmt.Errorf("flame: not a profile: %w", err)
	}
	if err := p.CheckValid(); err != nil {
		return nil, fmt.Errorf("flame: damaged profile: %w", err)
	}
	if len(p.SampleType) == 0 {
		return nil, errors.New("flame: a profile without any kind of value")
	}
	return p, nil
}

// Label is what samples are told apart by, such as http.route.
type Label struct{ Key, Value string }

// Keep leaves only the samples that carry the label. A zero Label keeps all.
func (l Label) Keep(p *profile.Profile) {
	if l.Key == "" {
		return
	}
	kept := p.Sample[:0]
	for _, s := range p.Sample {
		for _, v := range s.Label[l.Key] {
			if v == l.Value {
				kept = append(kept, s)
				break
			}
		}
	}
	clear(p.Sample[len(kept):])
	p.Sample = kept
}

// MatchTime scales base to as much time as p took, for profiles of what happens over time, so that 5 s can be compared with 10 s.
// Others, and those that do not tell their time, are left as they are.
func MatchTime(p, base *profile.Profile) {
	if !overTime(p) || p.DurationNanos <= 0 || base.DurationNanos <= 0 {
		return
	}
	base.Scale(float64(p.DurationNanos) / float64(base.DurationNanos))
	base.DurationNanos = p.DurationNanos
}

// overTime tells profiles that add up over their time, CPU and contention, from those of one moment.
func overTime(p *profile.Profile) bool {
	switch p.SampleType[len(p.SampleType)-1].Unit {
	case "nanoseconds":
		return true
	}
	return false
}

// Join makes one profile of p and its difference from base, as pprof's -diff_base does: samples of the base are negative. A nil base
// leaves p as it is.
func Join(p, base *profile.Profile) (*profile.Profile, error) {
	if base == nil {
		return p, nil
	}
	base.Scale(-1)
	joined, err := profile.Merge([]*profile.Profile{p, base})
	if err != nil {
		return nil, fmt.Errorf("flame: compare: %w", err)
	}
	joined.DurationNanos = p.DurationNanos
	return joined, nil
}
