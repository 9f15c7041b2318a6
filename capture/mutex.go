package capture

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"runtime/pprof"

	"github.com/google/pprof/profile"
)

// mutexFraction is the share of contended unlocks that are sampled where the service has set none: one in so many.
const mutexFraction = 10

// contention measures who was waited for at locks between two moments: the runtime's own profile counts since the
// program began, so an incident would drown in it.
type contention struct {
	before *profile.Profile
	set    bool // the fraction is ours to take back
}

// beginContention takes the first profile and turns sampling on if the service has not.
func beginContention() (*contention, error) {
	c := new(contention)
	var err error
	if c.before, err = mutexProfile(); err != nil {
		return nil, err
	}
	if runtime.SetMutexProfileFraction(-1) == 0 {
		runtime.SetMutexProfileFraction(mutexFraction)
		c.set = true
	}
	return c, nil
}

// end turns sampling off again, unless somebody has set it to something else meanwhile.
func (c *contention) end() {
	if c.set && runtime.SetMutexProfileFraction(-1) == mutexFraction {
		runtime.SetMutexProfileFraction(0)
	}
	c.set = false
}

// write writes what came since.
func (c *contention) write(w io.Writer) error {
	after, err := mutexProfile()
	if err != nil {
		return err
	}
	delta := after
	if len(c.before.Sample) > 0 {
		c.before.Scale(-1)
		if delta, err = profile.Merge([]*profile.Profile{c.before, after}); err != nil {
			return fmt.Errorf("subtract: %w", err)
		}
		// A place that nobody waited at meanwhile, or whose samples rounding has made negative.
		kept := delta.Sample[:0]
		for _, s := range delta.Sample {
			if len(s.Value) > 1 && s.Value[0] >= 0 && s.Value[1] > 0 {
				kept = append(kept, s)
			}
		}
		delta.Sample = kept
		delta = delta.Compact()
		delta.TimeNanos = after.TimeNanos
	}
	return delta.Write(w)
}

func mutexProfile() (*profile.Profile, error) {
	var b bytes.Buffer
	if err := pprof.Lookup("mutex").WriteTo(&b, 0); err != nil {
		return nil, err
	}
	return profile.ParseData(b.Bytes())
}
