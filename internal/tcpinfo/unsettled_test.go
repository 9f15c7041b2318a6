package tcpinfo

import (
	"encoding/binary"
	"testing"
)

func TestUnsettled(t *testing.T) {
	lastAck := func(b []byte, ms uint32) []byte {
		binary.NativeEndian.PutUint32(b[56:], ms)
		return b
	}
	tests := []struct {
		name   string
		answer []byte
		want   bool
	}{
		{"quiet", lastAck(answer(Established, 1, 0, 0, 1), 1000), false},
		{"the peer spoke just now", lastAck(answer(Established, 1, 0, 0, 1), 4), true},
		{"the peer spoke just now, but has ended before", lastAck(answer(CloseWait, 1, 0, 0, 1), 0), false},
		{"data is queued, where our FIN might follow", lastAck(answer(CloseWait, 1, 0, 5, 1), 1000), true},
		{"closed", lastAck(answer(Closed, 1, 0, 5, 1), 0), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var i Info
			if err := i.decode(tt.answer); err != nil {
				t.Fatal(err)
			}
			if got := i.unsettled(); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}
