package tcpinfo

import (
	"encoding/binary"
	"time"
)

// The struct has only ever grown at its end, so the length returned tells what the kernel filled in.
const (
	wantLen = 216 // up to and including tcpi_bytes_retrans, Linux 4.19
	bufLen  = 256
)

// decode fills i from the kernel's answer. The answer is in the machine's own byte order.
func (i *Info) decode(b []byte) error {
	if len(b) < wantLen {
		return ErrShort
	}
	if State(b[0]) != Listening && binary.NativeEndian.Uint32(b[16:]) == 0 {
		return ErrEmpty // no connection of Linux is without a segment size (tcpi_snd_mss)
	}
	u32 := func(off int) uint64 { return uint64(binary.NativeEndian.Uint32(b[off:])) }
	u64 := func(off int) uint64 { return binary.NativeEndian.Uint64(b[off:]) }
	micros := func(n uint64) time.Duration { return time.Duration(n) * time.Microsecond }

	*i = Info{
		State:         State(b[0]),
		LastSent:      time.Duration(u32(44)) * time.Millisecond,
		LastReceived:  time.Duration(u32(52)) * time.Millisecond,
		LastAck:       time.Duration(u32(56)) * time.Millisecond,
		RTT:           micros(u32(68)),
		Retransmits:   uint32(u32(100)),
		bytesReceived: u64(128),
		SegmentsOut:   uint32(u32(136)),
		SegmentsIn:    uint32(u32(140)),
		NotSentBytes:  u32(144),
		MinRTT:        micros(u32(148)),
		BusyTime:      micros(u64(168)),
		RwndLimited:   micros(u64(176)),
		SndbufLimited: micros(u64(184)),
		bytesSent:     u64(200),
		bytesRetrans:  u64(208),
	}
	if i.State == Listening {
		// The kernel gives these two fields another meaning there.
		i.QueueLength, i.QueueLimit = uint32(u32(24)), uint32(u32(28))
	}
	// The kernel keeps "no sample yet" as all ones.
	if u32(148) == 1<<32-1 {
		i.MinRTT = 0
	}
	switch i.State {
	case FinWait1, LastACK, Closing:
		i.ownFINQueued = i.NotSentBytes > 0
	}
	switch i.State {
	case CloseWait, LastACK, Closing, TimeWait:
		i.peerFINInState = true
	}
	return nil
}
