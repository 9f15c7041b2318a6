package alertproc

import (
	"slices"
	"sync"

	"go.opentelemetry.io/otel"

	"github.com/otelnet/agent/internal/guard"
)

// subscribers is a list of functions that can be changed while it is gone through.
type subscribers struct {
	mu   sync.Mutex
	list []*subscription // copied on change
}

type subscription struct{ tell func(Transition) }

// Subscribe has f called for every change of an alert's state from now on, in order. It is called from Evaluate's or
// Reload's goroutine, after the change is visible in Alerts and with no lock held: it may call any method of the
// Processor but Evaluate, and should return soon, because the evaluation's caller waits for it. A panic in f is
// recovered and handed to otel.Handle. The returned function ends the subscription; a call that is on its way may
// still arrive. It may be called more than once.
func (p *Processor) Subscribe(f func(Transition)) (cancel func()) {
	s := &subscription{f}
	p.subs.mu.Lock()
	p.subs.list = append(slices.Clip(p.subs.list), s)
	p.subs.mu.Unlock()
	return func() {
		p.subs.mu.Lock()
		defer p.subs.mu.Unlock()
		p.subs.list = slices.DeleteFunc(slices.Clone(p.subs.list), func(o *subscription) bool { return o == s })
	}
}

func (s *subscribers) tell(changes []Transition) {
	if len(changes) == 0 {
		return
	}
	s.mu.Lock()
	list := s.list
	s.mu.Unlock()
	for _, sub := range list {
		for _, t := range changes {
			sub.call(t)
		}
	}
}

func (s *subscription) call(t Transition) {
	if err := guard.Call("alertproc: a subscriber", func() error { s.tell(t); return nil }); err != nil {
		otel.Handle(err)
	}
}
