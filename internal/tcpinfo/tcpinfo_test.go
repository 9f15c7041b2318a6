package tcpinfo

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

// answer builds what the kernel would return.
func answer(state State, sent, retrans, notSent, received int) []byte {
	b := make([]byte, wantLen)
	b[0] = byte(state)
	binary.NativeEndian.PutUint32(b[16:], 1448)
	binary.NativeEndian.PutUint64(b[200:], uint64(sent))
	binary.NativeEndian.PutUint64(b[208:], uint64(retrans))
	binary.NativeEndian.PutUint32(b[144:], uint32(notSent))
	binary.NativeEndian.PutUint64(b[128:], uint64(received))
	return b
}

func TestByteFormulas(t *testing.T) {
	tests := []struct {
		name         string
		answer       []byte
		peerFIN      bool
		wantSent     uint64
		wantReceived uint64
	}{
		{"idle", answer(Established, 0, 0, 0, 0), false, 0, 0},
		{"queued data counts as sent", answer(Established, 10, 0, 5, 0), false, 15, 0},
		{"retransmissions do not", answer(Established, 30, 20, 0, 7), false, 10, 7},
		{"own FIN behind unsent data", answer(FinWait1, 10, 0, 6, 0), false, 15, 0},
		{"own FIN sent", answer(FinWait1, 10, 0, 0, 0), false, 10, 0},
		{"own FIN behind unsent data, the peer's before", answer(LastACK, 10, 0, 6, 4), false, 15, 3},
		{"peer's FIN", answer(CloseWait, 0, 0, 0, 101), false, 0, 100},
		{"peer's FIN and nothing else", answer(CloseWait, 0, 0, 0, 1), false, 0, 0},
		{"closed, not known", answer(Closed, 0, 0, 0, 101), false, 0, 101},
		{"closed, known to have ended", answer(Closed, 0, 0, 0, 101), true, 0, 100},
		{"nothing came, whatever is said", answer(Closed, 0, 0, 0, 0), true, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var i Info
			if err := i.decode(tt.answer); err != nil {
				t.Fatal(err)
			}
			if got := i.SentBytes(); got != tt.wantSent {
				t.Errorf("sent: got %d, want %d", got, tt.wantSent)
			}
			if got := i.ReceivedBytes(tt.peerFIN); got != tt.wantReceived {
				t.Errorf("received: got %d, want %d", got, tt.wantReceived)
			}
		})
	}
}

func TestDecodeUnits(t *testing.T) {
	b := answer(Established, 0, 0, 0, 0)
	binary.NativeEndian.PutUint32(b[44:], 3)
	binary.NativeEndian.PutUint32(b[68:], 250)
	binary.NativeEndian.PutUint32(b[148:], 1<<32-1)
	binary.NativeEndian.PutUint64(b[168:], 9)
	var i Info
	if err := i.decode(b); err != nil {
		t.Fatal(err)
	}
	if i.LastSent != 3*time.Millisecond || i.RTT != 250*time.Microsecond || i.BusyTime != 9*time.Microsecond {
		t.Errorf("got last sent %v, rtt %v, busy %v, want 3ms, 250µs, 9µs", i.LastSent, i.RTT, i.BusyTime)
	}
	if i.MinRTT != 0 {
		t.Errorf("min rtt without a sample: got %v, want 0", i.MinRTT)
	}
}

func TestDecodeAcceptQueue(t *testing.T) {
	for _, tt := range []struct {
		state              State
		wantLen, wantLimit uint32
	}{{Listening, 3, 128}, {Established, 0, 0}} {
		b := answer(tt.state, 0, 0, 0, 0)
		binary.NativeEndian.PutUint32(b[24:], 3)
		binary.NativeEndian.PutUint32(b[28:], 128)
		var i Info
		if err := i.decode(b); err != nil {
			t.Fatal(err)
		}
		if i.QueueLength != tt.wantLen || i.QueueLimit != tt.wantLimit {
			t.Errorf("state %d: got queue %d of %d, want %d of %d", tt.state, i.QueueLength, i.QueueLimit, tt.wantLen, tt.wantLimit)
		}
	}
}

func TestOldKernelIsUnsupported(t *testing.T) {
	var i Info
	if err := i.decode(make([]byte, wantLen-1)); !errors.Is(err, ErrShort) || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v, want ErrShort, which wraps errors.ErrUnsupported", err)
	}
}

// gVisor answers with a whole struct of which it fills in the state, the congestion window and the round-trip time.
func TestEmptyAnswerIsUnsupported(t *testing.T) {
	b := make([]byte, 232)
	b[0] = byte(Established)
	binary.NativeEndian.PutUint32(b[68:], 250)
	var i Info
	if err := i.decode(b); !errors.Is(err, ErrEmpty) || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v, want ErrEmpty, which wraps errors.ErrUnsupported", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(answer(CloseWait, 1, 2, 3, 4))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var i Info
		switch err := i.decode(b); {
		case errors.Is(err, ErrShort) != (len(b) < wantLen):
			t.Errorf("%d bytes: got error %v", len(b), err)
		case err != nil && !errors.Is(err, errors.ErrUnsupported):
			t.Errorf("got error %v, want one that wraps errors.ErrUnsupported", err)
		}
	})
}
