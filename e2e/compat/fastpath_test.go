package compat

import (
	"testing"
)

// The kernel moves bytes between files and sockets without showing them to the program, if package net sees types that it knows.
// For each such way strace says that it was taken for every byte, and the peer, a bare socket, how many bytes came.
func TestKernelsShortCuts(t *testing.T) {
	tests := []struct {
		name     string
		syscall  string
		through  int64 // bytes that the system call moves; splice moves each twice, into a pipe and out of it
		sent     int64 // by connections of ours; 0 where the peer says it, because of headers
		received int64
	}{
		{"ServeFile", "sendfile", moveSize - 512, 0, 0}, // net/http copies the first 512 itself
		{"CopyFromFile", "sendfile", moveSize, moveSize, 0},
		{"CopyNFromFile", "sendfile", moveSize - 1, moveSize - 1, 0},
		{"CopyToFile", "splice", 2 * moveSize, 0, moveSize},
		{"CopyNToFile", "splice", 2 * moveSize, 0, moveSize + moveRest},
		{"CopyBothOurs", "splice", 2 * moveSize, moveSize, moveSize},
		{"CopyToOurs", "splice", 2 * moveSize, moveSize, 0},
		{"CopyFromOurs", "splice", 2 * moveSize, 0, moveSize},
		{"CopyNBothOurs", "splice", 2 * moveSize, moveSize, moveSize + moveRest},
		{"CopyUnixToTCP", "splice", 2 * moveSize, moveSize, moveSize},
		{"CopyTCPToUnix", "splice", 2 * moveSize, moveSize, moveSize},
		{"Buffers", "writev", moveSize, moveSize, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, calls := traceHelper[moveResult](t, "move:"+test.name, "sendfile", "splice", "writev")
			if through := moved(calls, test.syscall); through != test.through {
				t.Errorf("moved by %s: got %d bytes, want %d", test.syscall, through, test.through)
			}
			want := flow{Sent: got.PeersReceived, Received: got.PeersSent}
			if got.Ours != want {
				t.Errorf("counted: got %+v, want %+v, as the peers say", got.Ours, want)
			}
			if test.sent != 0 && want.Sent != test.sent || want.Received < test.received {
				t.Errorf("the peers saw %+v, want %d sent and %d received", want, test.sent, test.received)
			}
			if test.name == "ServeFile" && want.Sent <= moveSize {
				t.Errorf("the client received %d bytes, want more than the file's %d", want.Sent, moveSize)
			}
		})
	}
}
