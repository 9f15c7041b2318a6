package otelnet

import (
	"sync"
	"syscall"

	"go.opentelemetry.io/otel/metric"

	"github.com/otelnet/agent/internal/tcpinfo"
)

// listenQueues are the open listening sockets of an endpoint, whose backlog the kernel tells.
type listenQueues struct {
	waits thinner

	mu      sync.Mutex
	sockets []syscall.RawConn
	opts    *optionSet
}

// add makes the backlog of a socket part of the endpoint's. It reports whether the kernel tells it: a queue in which nobody
// may wait is an answer that was not filled in.
func (q *listenQueues) add(raw syscall.RawConn, ep *endpoint) bool {
	rd := readers.Get().(*tcpinfo.Reader)
	defer readers.Put(rd)
	if rd.ReadOnce(raw) != nil || rd.Info.State != tcpinfo.Listening || rd.Info.QueueLimit == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.opts == nil {
		q.opts = newOptionSet(ep.attrs...)
	}
	q.sockets = append(q.sockets, raw)
	return true
}

func (q *listenQueues) remove(raw syscall.RawConn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, other := range q.sockets {
		if other == raw {
			q.sockets = append(q.sockets[:i], q.sockets[i+1:]...)
			return
		}
	}
}

// observe adds up the backlogs. Without an open listener there is nothing to tell.
func (q *listenQueues) observe(o metric.Observer, ins *instruments) {
	q.mu.Lock()
	sockets, opts := append([]syscall.RawConn(nil), q.sockets...), q.opts
	q.mu.Unlock()
	if len(sockets) == 0 {
		return
	}
	rd := readers.Get().(*tcpinfo.Reader)
	defer readers.Put(rd)
	length, limit, open := int64(0), int64(0), false
	for _, raw := range sockets {
		if rd.ReadOnce(raw) == nil && rd.Info.State == tcpinfo.Listening {
			length += int64(rd.Info.QueueLength)
			limit += int64(rd.Info.QueueLimit)
			open = true
		}
	}
	if open {
		o.ObserveInt64(ins.queueLength, length, opts.observe...)
		o.ObserveInt64(ins.queueLimit, limit, opts.observe...)
	}
}

// recordWait tells how long a connection waited to be accepted: on a socket that has sent nothing yet, the kernel
// counts the time since its last sending from the end of the handshake.
func (a *acceptor) recordWait(s *ConnStats) {
	if a.queued == nil || s.raw == nil || !a.endpoint.queues.waits.pass(s.opened) {
		return
	}
	rd := readers.Get().(*tcpinfo.Reader)
	err := rd.ReadOnce(s.raw)
	wait := rd.Info.LastSent
	readers.Put(rd)
	if err == nil {
		sc := a.endpoint.scope
		sc.addSample(sample{sc.ins.queueWait, a.endpoint.queues.opts, wait.Seconds()}, s.opened)
	}
}
