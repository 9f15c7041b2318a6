package capture

import (
	"slices"
	"time"
)

// keptEmpty is how many captures that stored nothing are remembered, for what they say of why.
const keptEmpty = 3

// makeRoom removes captures until all limits hold with another reserve bytes stored.
func (c *Capturer) makeRoom(reserve int64) {
	c.mu.Lock()
	gone := c.surplus(time.Now(), reserve)
	c.mu.Unlock()
	for _, id := range gone {
		_ = c.store.remove(id) // what stays is found by the next process
	}
}

// forgetStored drops all captures but the running one: somebody has removed their directory.
func (c *Capturer) forgetStored() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = slices.DeleteFunc(c.list, func(m *Manifest) bool { return m.State != StateRunning })
}

// surplus takes captures that are too old or too many from the list and returns their ids. A running one stays. The
// caller holds c.mu, or has c for itself.
func (c *Capturer) surplus(now time.Time, reserve int64) (gone []string) {
	drop := func(which func(*Manifest) bool) bool {
		i := slices.IndexFunc(c.list, func(m *Manifest) bool { return m.State != StateRunning && which(m) })
		if i < 0 {
			return false
		}
		gone = append(gone, c.list[i].ID)
		c.list = slices.Delete(c.list, i, i+1)
		return true
	}
	count := func(which func(*Manifest) bool) (n int) {
		for _, m := range c.list {
			if which(m) {
				n++
			}
		}
		return n
	}
	every := func(*Manifest) bool { return true }
	empty := func(m *Manifest) bool { return !m.stored() && m.State != StateRunning }
	clocked := func(m *Manifest) bool { return m.Reason == Continuous && m.stored() }

	for drop(func(m *Manifest) bool { return now.Sub(m.At) > c.cfg.MaxAge }) {
	}
	for count(empty) > keptEmpty && drop(empty) {
	}
	// Those by the clock have a share of their own. Else a quiet night would leave nothing of the evening's incident.
	for count(clocked) > max(1, c.cfg.MaxCaptures/4) && drop(clocked) {
	}
	for len(c.list) > c.cfg.MaxCaptures && drop(every) {
	}
	total := func() (n int64) {
		for _, m := range c.list {
			n += m.Size()
		}
		return n
	}
	for total()+reserve > c.cfg.MaxBytes && drop(every) {
	}
	return gone
}
