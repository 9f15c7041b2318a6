package capture

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/google/pprof/profile"
)

// Shares of contended unlocks that are sampled where the service has set none: one in so many. Between captures few are, but
// never none. The runtime stamps those who wait for a lock only while sampling is on, and hands the stamp of the first
// in the queue on to the next; so in a queue that never runs dry, the very one an incident is about, nobody would ever
// be seen who came to sampling later. A goroutine that blocks pays two readings of the clock for it, and nobody else. During a
// capture all of them are: a lock that is held for half a second is let go ten times in one, and must not be missed.
const (
	idleFraction    = 1000
	captureFraction = 1
)

// watchLocks turns sampling on, and returns what turns it off again unless somebody has changed it meanwhile.
func watchLocks() (stop func()) {
	if runtime.SetMutexProfileFraction(-1) != 0 {
		return func() {}
	}
	runtime.SetMutexProfileFraction(idleFraction)
	return func() { exchangeFraction(idleFraction, 0) }
}

// exchangeFraction sets the rate to another one if it is the first, and says whether it was.
func exchangeFraction(from, to int) bool {
	if runtime.SetMutexProfileFraction(-1) != from {
		return false
	}
	runtime.SetMutexProfileFraction(to)
	return true
}

// contention measures who was waited for at locks between two moments: the runtime's own profile counts since the
// program began, so an incident would drown in it.
type contention struct {
	begin  time.Time
	before *profile.Profile
	raised bool // the rate is ours to take back
}

// beginContention takes the first profile and samples more, if the service has not chosen a rate itself.
func beginContention() (*contention, error) {
	c := new(contention)
	var err error
	if c.before, err = mutexProfile(); err != nil {
		return nil, err
	}
	c.raised = exchangeFraction(idleFraction, captureFraction)
	c.begin = time.Now()
	return c, nil
}

func (c *contention) end() {
	if c.raised {
		exchangeFraction(captureFraction, idleFraction)
	}
	c.raised = false
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
	// The runtime's profile does not tell its time. Without it five seconds could not be compared with ten.
	delta.DurationNanos = time.Since(c.begin).Nanoseconds()
	return delta.Write(w)
}

func mutexProfile() (*profile.Profile, error) {
	var b bytes.Buffer
	if err := pprof.Lookup("mutex").WriteTo(&b, 0); err != nil {
		return nil, err
	}
	return profile.ParseData(b.Bytes())
}
