package tcpinfo

import (
	"errors"
	"testing"
	"time"
)

func TestXNUAnswer(t *testing.T) {
	const established = 4
	a := xnuAnswer{state: established, srtt: 79, txPackets: 1<<32 + 12, rxPackets: 7, txRetransmitPackets: 3}
	var got Info
	if err := a.fill(&got); err != nil {
		t.Fatal(err)
	}
	want := Info{RTT: 79 * time.Millisecond, SegmentsOut: 12, SegmentsIn: 7, Retransmits: 3}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestXNUAnswerWithoutCounts(t *testing.T) {
	for _, state := range []uint8{0, xnuListen} {
		a := xnuAnswer{state: state}
		got := Info{Retransmits: 3}
		if err := a.fill(&got); err == nil || errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("state %d: got error %v, want one that does not say that nothing can be asked", state, err)
		}
		if got.Retransmits != 3 {
			t.Errorf("state %d: the last answer is gone", state)
		}
	}
}
