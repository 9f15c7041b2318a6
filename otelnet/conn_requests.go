package otelnet

import (
	"net"
	"reflect"
)

// ConnByAddr returns the open connection whose own methods return these very addresses (the same values, not equal
// ones), as code is given them that never sees the connection itself. It is for instrumentation of other protocols, and
// walks the table, the newest connections first: about ten nanoseconds for each that it meets.
func ConnByAddr(local, peer net.Addr) (*ConnStats, bool) {
	s := connByAddr(local, peer, registry.lastID.Load(), numShards)
	return s, s != nil
}

// connByAddr looks in the shard of the connection with the ID newest, and in those before it until there were so many.
func connByAddr(local, peer net.Addr, newest uint64, shards int) *ConnStats {
	if local == nil || peer == nil || !reflect.ValueOf(local).Comparable() || !reflect.ValueOf(peer).Comparable() {
		return nil
	}
	for i := range uint64(shards) {
		if s := shardOf(newest-i*sweepChunk).byAddr(local, peer); s != nil {
			return s
		}
	}
	return nil
}

// byAddr looks at the newest first: who asks mostly asks for a connection that was just opened.
func (sh *shard) byAddr(local, peer net.Addr) *ConnStats {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i := len(sh.members) - 1; i >= 0; i-- {
		if s := sh.members[i]; s.peerAddr() == peer && s.localAddr() == local {
			return s
		}
	}
	return nil
}

// BeginRequest joins a request of another protocol to the connection; major and minor are the HTTP version beneath it, or
// 0. [NewHandler] and [NewTransport] do this for theirs. Each call asks for one of EndRequest.
func (s *ConnStats) BeginRequest(major, minor int) {
	s.requests.Add(1)
	s.inFlight.Add(1)
	s.noteProtocol(uint8(major), uint8(minor))
}

// EndRequest ends a request that BeginRequest joined. The route, "" to leave it alone, shows in the table. A failed
// request counts in the connection's errors.
func (s *ConnStats) EndRequest(route string, failed bool) {
	if failed {
		s.failed.Add(1)
	}
	s.inFlight.Add(-1)
	if known := s.route.Load(); route != "" && (known == nil || *known != route) {
		s.route.Store(&route)
	}
	s.lastActive.Store(sinceStart())
}
