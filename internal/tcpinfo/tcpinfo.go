// Package tcpinfo asks the kernel what it knows about a TCP socket.
//
// On Linux the answer is struct tcp_info (getsockopt TCP_INFO, see include/uapi/linux/tcp.h). The kernel counts every
// byte that a socket carries whichever way the program moves it: write, writev, sendfile or splice. One answer costs
// about half a microsecond and no allocation.
//
// On macOS it is struct tcp_connection_info (getsockopt TCP_CONNECTION_INFO, see bsd/netinet/tcp.h of XNU), which has the
// round-trip time and counts of packets, but neither the bytes that a program has written nor times: see [CountsBytes]
// and [TellsTimes]. Elsewhere nothing is asked.
package tcpinfo

import (
	"errors"
	"fmt"
	"time"
)

// State is the kernel's TCP state, as in include/net/tcp_states.h.
type State uint8

// The states that decide who ended a connection and whether a FIN hides in a byte count.
const (
	Established State = 1
	FinWait1    State = 4
	FinWait2    State = 5
	TimeWait    State = 6
	Closed      State = 7
	CloseWait   State = 8
	LastACK     State = 9
	Listening   State = 10
	Closing     State = 11
)

// Info is the part of the kernel's answer that is used here, under the names of Linux's struct tcp_info. Counts start at
// zero when the socket is made. On macOS only RTT, Retransmits, SegmentsOut and SegmentsIn are filled in.
type Info struct {
	State          State
	LastSent       time.Duration // since data was last sent; on a fresh socket, since it was made
	LastReceived   time.Duration // since data was last received
	LastAck        time.Duration // since any segment of the peer was processed; on a fresh socket, since it was made
	RTT            time.Duration // tcpi_rtt, smoothed; 0 before the first sample
	MinRTT         time.Duration // tcpi_min_rtt; 0 before the first sample
	Retransmits    uint32        // tcpi_total_retrans, segments; wraps around
	SegmentsOut    uint32        // tcpi_segs_out, retransmitted ones included; wraps around
	SegmentsIn     uint32        // tcpi_segs_in, those without data included; wraps around
	BusyTime       time.Duration // tcpi_busy_time: data was waiting to be sent or acknowledged
	RwndLimited    time.Duration // tcpi_rwnd_limited: the peer's receive window held us back
	SndbufLimited  time.Duration // tcpi_sndbuf_limited: our own send buffer held us back
	NotSentBytes   uint64        // tcpi_notsent_bytes: accepted from the program, never yet sent
	QueueLength    uint32        // of a listening socket: connections that wait to be accepted
	QueueLimit     uint32        // of a listening socket: how many may wait
	bytesSent      uint64        // tcpi_bytes_sent, retransmissions included
	bytesRetrans   uint64        // tcpi_bytes_retrans
	bytesReceived  uint64        // tcpi_bytes_received; the peer's FIN counts as one
	ownFINQueued   bool          // our FIN stands behind data that was never sent and counts as one of its bytes
	peerFINInState bool          // the state alone proves that the peer's FIN has come
}

// ErrShort is returned when the kernel's answer ends before the byte counts: Linux before 4.19.
// It wraps errors.ErrUnsupported.
var ErrShort = fmt.Errorf("tcpinfo: the kernel's tcp_info has no byte counts: %w", errors.ErrUnsupported)

// ErrEmpty is returned when the answer is as long as it has to be but has nothing in it, as that of gVisor, in which Google
// Cloud Run and GKE Sandbox run containers: of all of struct tcp_info it fills in the state and the round-trip time. It
// wraps errors.ErrUnsupported.
var ErrEmpty = fmt.Errorf("tcpinfo: the kernel leaves its tcp_info empty: %w", errors.ErrUnsupported)

// SentBytes returns how many bytes the program has handed to the socket. It is exact in every state, also while data
// is in flight, retransmitted or still queued.
func (i *Info) SentBytes() uint64 {
	n := i.bytesSent - i.bytesRetrans + i.NotSentBytes
	if i.ownFINQueued && n > 0 {
		n--
	}
	return n
}

// PeerFIN reports whether the state proves that the peer has finished sending. In [Closed] it proves nothing.
func (i *Info) PeerFIN() bool { return i.peerFINInState }

// unsettled reports whether the state may have changed between the kernel's look at it, which it takes before it locks
// the socket, and its look at the counts. A FIN counted there would be taken for a byte of data. The peer's can only
// have come with a segment of this moment, our own only stands behind unsent data.
func (i *Info) unsettled() bool {
	if i.State == Closed {
		return false
	}
	const tick = 20 * time.Millisecond // twice the coarsest clock tick of a kernel
	return i.NotSentBytes > 0 || !i.peerFINInState && i.LastAck < tick
}

// ReceivedBytes returns how many bytes have come from the peer, those that the program has not read yet included.
// peerFIN tells that the peer's FIN is known to have come, from [Info.PeerFIN] or from a read that ended in EOF; the
// kernel counts that FIN as a byte.
func (i *Info) ReceivedBytes(peerFIN bool) uint64 {
	n := i.bytesReceived
	if (peerFIN || i.peerFINInState) && n > 0 {
		n--
	}
	return n
}
