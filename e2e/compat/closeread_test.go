package compat

import (
	"io"
	"testing"

	"github.com/otelnet/agent/otelnet"
)

// The end that CloseRead makes is our own: no FIN of the peer's has come, to be taken off the kernel's count.
func TestCloseReadIsNotThePeersEnd(t *testing.T) {
	m := newMeter()
	ours, bare := pipe(t, m, "tcp", "127.0.0.1:0")
	if _, err := bare.Write([]byte("an answer")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len("an answer"))
	if _, err := io.ReadFull(ours, b); err != nil {
		t.Fatal(err)
	}
	if err := ours.(interface{ CloseRead() error }).CloseRead(); err != nil {
		t.Fatal(err)
	}
	if n, err := ours.Read(b); n != 0 || err != io.EOF {
		t.Errorf("read after CloseRead: got %d, %v, want EOF", n, err)
	}
	if got := m.flow(otelnet.SideServer).Received; got != 9 {
		t.Errorf("received: got %d bytes, want 9", got)
	}
	ours.Close()
	if rows := connections(t, "closed", ours.RemoteAddr().String()); len(rows) != 1 || rows[0].CloseReason != "local" || rows[0].ReceivedBytes != 9 {
		t.Errorf("closed connections: got %+v, want one, ended here after 9 bytes", rows)
	}
}
