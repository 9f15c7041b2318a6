package otelnet

import (
	"context"
	"net/http/httptrace"
	"sync"
	"time"
)

// dialTrace times the parts of one dial. Several addresses may be tried at once, and one that lost the race may end
// after the dial has returned.
type dialTrace struct {
	d    *Dialer
	ctx  context.Context
	name string // that is looked up, or what stands for those over the limit

	mu       sync.Mutex
	lookup   time.Time
	connects []connectStart
}

type connectStart struct {
	network, address string
	at               time.Time
}

// traced returns ctx with the hooks of a new trace; package net calls them without HTTP too.
func (d *Dialer) traced(ctx context.Context, to target) context.Context {
	t := &dialTrace{d: d, ctx: ctx, name: to.host}
	// A fresh struct for each dial: WithClientTrace writes the hooks of ctx's own trace into it.
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:     t.dnsStart,
		DNSDone:      t.dnsDone,
		ConnectStart: t.connectStart,
		ConnectDone:  t.connectDone,
	})
}

func (t *dialTrace) dnsStart(httptrace.DNSStartInfo) {
	t.mu.Lock()
	t.lookup = time.Now()
	t.mu.Unlock()
}

func (t *dialTrace) dnsDone(info httptrace.DNSDoneInfo) {
	t.mu.Lock()
	took := time.Since(t.lookup)
	t.mu.Unlock()
	set := t.d.lookups.get(lookupKey{name: t.name, err: classify(info.Err)})
	t.d.scope.ins.dnsDuration.Record(t.ctx, took.Seconds(), set.record...)
}

func (t *dialTrace) connectStart(network, address string) {
	t.mu.Lock()
	t.connects = append(t.connects, connectStart{network, address, time.Now()})
	t.mu.Unlock()
}

func (t *dialTrace) connectDone(network, address string, err error) {
	took, ok := t.took(network, address)
	if !ok {
		return
	}
	key := connectKey{kind: kindOfText(network, address), err: classify(err)}
	t.d.scope.ins.connectDuration.Record(t.ctx, took.Seconds(), t.d.connects.get(key).record...)
}

// took finds when this address was begun, and forgets it.
func (t *dialTrace) took(network, address string) (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, c := range t.connects {
		if c.network == network && c.address == address {
			t.connects = append(t.connects[:i], t.connects[i+1:]...)
			return time.Since(c.at), true
		}
	}
	return 0, false
}
