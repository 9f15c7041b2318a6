package tcpinfo

import (
	"errors"
	"time"
)

// xnuListen is TCPS_LISTEN of XNU's tcp_fsm.h. In this state and in TCPS_CLOSED before it, the kernel leaves the rest of
// its answer at zero.
const xnuListen = 1

var errNoConnection = errors.New("tcpinfo: the socket is no connection, or none any more")

// xnuAnswer is what is taken from XNU's struct tcp_connection_info.
//
// Packets are those that carry data. What the network card cuts into segments counts once.
type xnuAnswer struct {
	state               uint8
	srtt                uint32 // milliseconds; 0 also for less than one
	txPackets           uint64 // retransmitted ones included
	rxPackets           uint64
	txRetransmitPackets uint64
}

// fill fills i. Zeros that stand for no counts are an error: taken for counts they would seem to have gone back.
func (a *xnuAnswer) fill(i *Info) error {
	if a.state <= xnuListen {
		return errNoConnection
	}
	*i = Info{
		RTT:         time.Duration(a.srtt) * time.Millisecond,
		Retransmits: uint32(a.txRetransmitPackets),
		SegmentsOut: uint32(a.txPackets),
		SegmentsIn:  uint32(a.rxPackets),
	}
	return nil
}
