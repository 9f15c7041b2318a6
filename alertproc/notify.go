package alertproc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// startSenders makes the notifiers of a Config and starts their goroutines. The caller holds p.mu.
func (p *Processor) startSenders(list []Notify) []*sender {
	client := p.base.HTTPClient
	if client == nil {
		client = &http.Client{}
	}
	logger := p.base.Logger
	if logger == nil {
		logger = slog.Default()
	}
	var senders []*sender
	counter := p.meters.notifications
	start := func(s *sender) {
		senders = append(senders, s)
		p.running.Add(1)
		go func() {
			defer p.running.Done()
			s.run(p.delivering)
		}()
	}
	if provider := p.base.LoggerProvider; provider != nil {
		s := newSender("otel", newOTelNotifier(provider), 0, counter)
		s.wants = everyChange
		start(s)
	}
	for _, n := range list {
		var s *sender
		switch {
		case n.Log != nil:
			s = newSender("log", &logNotifier{logger}, 0, counter)
			s.wants = concernsFiring
		case n.Webhook != nil:
			s = newSender("webhook", newWebhook(client, *n.Webhook, p.base.ExternalURL), n.Webhook.Timeout, counter)
			s.wants, s.split = concernsFiring, true
		case n.Alertmanager != nil:
			s = newSender("alertmanager", newAlertmanager(client, *n.Alertmanager, p.base.ExternalURL), n.Alertmanager.Timeout, counter)
			s.resend = n.Alertmanager.Resend
			if s.resend == 0 {
				s.resend = DefaultResend
			}
		default:
			s = newSender("func", &goNotifier{n.Notifier}, 0, counter)
			s.wants = everyChange
		}
		s.delay = newDelayed(n.Delay, p.engine, s.resend > 0)
		start(s)
	}
	return senders
}

func everyChange(Transition) bool { return true }

// concernsFiring leaves out what only came to pending or went back from it.
func concernsFiring(t Transition) bool { return t.From == StateFiring || t.To == StateFiring }

// send hands the outcome of an evaluation to the notifiers' queues.
func (p *Processor) send(e *engine, at time.Time, changes []Transition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	repeating := 0
	for _, s := range p.senders {
		switch {
		case s.delay != nil:
			s.hold(e, at, changes, false)
			continue
		case s.resend == 0:
			s.tell(changes)
			continue
		}
		if alerts := e.outgoing(at, repeating, s.resend); len(alerts) > 0 {
			s.repeat(alerts)
		}
		repeating++
	}
}

// release tells what has waited for long enough, at a snapshot at which no group is evaluated.
func (p *Processor) release(e *engine, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.senders {
		if s.delay != nil {
			s.hold(e, at, nil, false)
		}
	}
}

// hold notes changes and queues what has waited for long enough, or everything.
func (s *sender) hold(e *engine, at time.Time, changes []Transition, all bool) {
	for _, t := range changes {
		s.delay.note(t, at)
	}
	released := s.delay.release(e, at, all)
	if s.resend == 0 {
		s.tell(released)
	} else {
		s.repeat(s.delay.outgoing(e, s.resend))
	}
}

// tell queues the changes that the notifier wants.
func (s *sender) tell(changes []Transition) {
	var m message
	for _, t := range changes {
		if !s.wants(t) {
			continue
		}
		if n := len(m.changes); s.split && n > 0 && m.changes[n-1].Alert.Rule != t.Alert.Rule {
			s.enqueue(m)
			m = message{}
		}
		m.changes = append(m.changes, t)
	}
	if len(m.changes) > 0 {
		s.enqueue(m)
	}
}

// repeat queues alerts in portions that a receiver takes in one request.
func (s *sender) repeat(alerts []outgoing) {
	const portion = 256
	for len(alerts) > 0 {
		n := min(portion, len(alerts))
		s.enqueue(message{alerts: alerts[:n:n]})
		alerts = alerts[n:]
	}
}

// outgoing lists what is to be sent to the repeating notifier number n: alerts that began to fire or resolved since
// it was last told, and those that it was told of longer than resend ago. Groups that were not due are left out.
func (e *engine) outgoing(at time.Time, n int, resend time.Duration) []outgoing {
	var all []outgoing
	for _, g := range e.groups {
		if !g.due {
			continue
		}
		until := at.Add(4 * max(g.every, resend)).Round(0)
		for _, r := range g.rules {
			for _, inst := range r.order {
				s := &inst.state
				if len(s.resolved) > 0 {
					s.forget(at)
					for _, old := range s.resolved {
						if needsSending(at, resend, old.alert.ResolvedAt, lastSent(&old.sent, n)) {
							old.sent[n] = at
							all = append(all, outgoing{old.alert, old.alert.ResolvedAt})
						}
					}
				}
				if state, _ := s.shown(); state == StateFiring {
					if needsSending(at, resend, time.Time{}, lastSent(&s.sent, n)) {
						s.sent[n] = at
						all = append(all, outgoing{r.alert(inst), until})
					}
				}
			}
		}
	}
	return all
}

// lastSent makes sure that *times reaches to n, and returns that time.
func lastSent(times *[]time.Time, n int) time.Time {
	for len(*times) <= n {
		*times = append(*times, time.Time{})
	}
	return (*times)[n]
}

func needsSending(at time.Time, resend time.Duration, resolved, sent time.Time) bool {
	if sent.IsZero() || resolved.After(sent) {
		return true
	}
	return sent.Add(resend).Before(at)
}

// goNotifier is a notifier written by the user.
type goNotifier struct{ to Notifier }

func (n *goNotifier) deliver(ctx context.Context, m message) error {
	return n.to.Notify(ctx, m.changes)
}

// Shutdown ends the processor: no evaluation is made any more, otelnet.alert.state is no longer reported, and the
// notifiers deliver what is in their queues until ctx ends. Then what is left is dropped, and the error says how
// much; it wraps ctx's. The state file is written a last time. Firing alerts are not resolved by it. It may be called
// more than once.
func (p *Processor) Shutdown(ctx context.Context) error {
	var err error
	p.closeOnce.Do(func() {
		p.down.Store(true)
		err = p.meters.registration.Unregister()
		p.mu.Lock()
		for _, s := range p.senders {
			if s.delay != nil {
				s.hold(p.current, s.delay.at, nil, true)
			}
			s.close()
		}
		p.mu.Unlock()
		go func() {
			p.running.Wait()
			p.giveUp()
			close(p.drained)
		}()
	})
	if p.file != nil {
		p.fileOnce.Do(func() {
			go func() {
				p.evalMu.Lock() // an evaluation that is on its way comes first; it may hang in a rule's function
				if p.begun {
					p.keep(p.last)
				}
				p.evalMu.Unlock()
				close(p.file.closing)
			}()
			err = errors.Join(err, p.file.wait(ctx))
		})
	}
	select {
	case <-p.drained:
		return err
	default:
	}
	select {
	case <-p.drained:
		return err
	case <-ctx.Done():
		waiting := 0
		p.mu.Lock()
		for _, s := range p.senders {
			waiting += s.waiting()
		}
		p.mu.Unlock()
		p.giveUp()
		return errors.Join(err, fmt.Errorf("alertproc: shutdown: %d notifications still queued: %w", waiting, ctx.Err()))
	}
}
