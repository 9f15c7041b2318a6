package otelnet

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// lastRow returns the row of a connection that was closed.
func lastRow(t *testing.T, c net.Conn) ConnInfo {
	t.Helper()
	for _, row := range Connections(Filter{State: "closed"}) {
		if row.ID == statsOf(c).ID() {
			return row
		}
	}
	t.Fatal("a closed connection is not in the table")
	return ConnInfo{}
}

func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// A copy between two connections fails for one of them. By splice the error does not tell for which.
func TestFailedCopyIsOneConnections(t *testing.T) {
	copies := map[string]func(dst, src net.Conn) (int64, error){
		"io.Copy":  func(dst, src net.Conn) (int64, error) { return io.Copy(dst, src) },
		"io.CopyN": func(dst, src net.Conn) (int64, error) { return io.CopyN(dst, src, 1<<40) },
		"ReadFrom": func(dst, src net.Conn) (int64, error) { return dst.(io.ReaderFrom).ReadFrom(src) },
	}
	// Each is called once five bytes have gone from one peer to the other.
	failures := map[string]struct {
		fail     func(t *testing.T, src, srcPeer, dst, dstPeer net.Conn)
		src, dst string // close reasons
	}{
		"the source is reset": {
			func(_ *testing.T, _, srcPeer, _, _ net.Conn) { reset(srcPeer) }, "reset", "local",
		},
		"the sink is reset": {
			func(t *testing.T, _, srcPeer, dst, dstPeer net.Conn) {
				reset(dstPeer)
				waitState(t, statsOf(dst), 7)
				mustWrite(t, srcPeer, 1)
			}, "local", "reset",
		},
		"the source has a deadline": {
			func(_ *testing.T, src, _, _, _ net.Conn) { src.SetReadDeadline(time.Now().Add(time.Millisecond)) }, "timeout", "local",
		},
		"the sink has a deadline": {
			func(_ *testing.T, _, srcPeer, dst, _ net.Conn) {
				dst.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
				go srcPeer.Write(make([]byte, 64<<20)) // more than fits in between; ends when src is closed
			}, "local", "timeout",
		},
	}
	for name, tt := range failures {
		for how, copyBytes := range copies {
			t.Run(name+", "+how, func(t *testing.T) {
				ln := listen(t, newMeter(t).option())
				src, srcPeer := pair(t, ln)
				dst, dstPeer := pair(t, ln)
				needKernelCounts(t, statsOf(src))
				done := make(chan error)
				go func() {
					_, err := copyBytes(dst, src)
					done <- err
				}()
				mustWrite(t, srcPeer, 5)
				mustRead(t, dstPeer, 5)
				tt.fail(t, src, srcPeer, dst, dstPeer)
				if err := <-done; err == nil {
					t.Error("the copy did not fail")
				}
				src.Close()
				dst.Close()
				if got := lastRow(t, src); got.CloseReason != tt.src {
					t.Errorf("source: got %s, %s, want %s", got.CloseReason, got.ErrorType, tt.src)
				}
				if got := lastRow(t, dst); got.CloseReason != tt.dst {
					t.Errorf("sink: got %s, %s, want %s", got.CloseReason, got.ErrorType, tt.dst)
				}
			})
		}
	}
}

// failingEnd is neither a socket nor a file, and fails with what a socket might.
type failingEnd struct{ err error }

func (f failingEnd) Read([]byte) (int, error)  { return 0, f.err }
func (f failingEnd) Write([]byte) (int, error) { return 0, f.err }

// An error of the other end is none of the connection.
func TestErrorOfTheOtherEnd(t *testing.T) {
	full := &os.PathError{Op: "write", Path: "file", Err: errors.New("the disk is full")}
	for name, err := range map[string]error{
		"of its own": full, "the end of data": io.ErrUnexpectedEOF, "a deadline": os.ErrDeadlineExceeded,
	} {
		t.Run(name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
				server, client := pair(t, ln)
				if _, got := io.Copy(server, failingEnd{err}); !errors.Is(got, err) {
					t.Errorf("from it: got %v, want %v", got, err)
				}
				mustWrite(t, client, 1)
				if _, got := io.Copy(failingEnd{err}, server); !errors.Is(got, err) {
					t.Errorf("to it: got %v, want %v", got, err)
				}
				server.Close()
				m.wantEnd("local", "")
			})
		})
	}
}

// A file that takes no more is no failure of the connection that fills it.
func TestFullFile(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
		server, client := pair(t, ln)
		mustWrite(t, client, 10)
		if _, err := io.Copy(full, server); err == nil {
			t.Error("got no error")
		}
		server.Close()
		m.wantEnd("local", "")
	})
}

// Who reads a connection to its end by a copy sees that its peer has ended it.
func TestCopyToTheEnd(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, sink := range map[string]io.Writer{"a file": file, "memory": io.Discard} {
		t.Run(name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
				server, client := pair(t, ln)
				mustWrite(t, client, 10)
				client.Close()
				if n, err := io.Copy(sink, server); n != 10 || err != nil {
					t.Errorf("got %d, %v, want 10, nil", n, err)
				}
				server.Close()
				m.wantIO(0, 10)
				m.wantEnd("remote", "")
			})
		})
	}
}

// After a reset that one call has met, the next one finds the end of data. No FIN has come.
func TestEndAfterReset(t *testing.T) {
	eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
		server, client := pair(t, ln)
		mustWrite(t, client, 10)
		mustRead(t, server, 10)
		reset(client)
		b := make([]byte, 1)
		if _, err := server.Read(b); err == nil || err == io.EOF {
			t.Fatalf("got %v, want a reset", err)
		}
		if _, err := server.Read(b); err != io.EOF {
			t.Fatalf("got %v, want EOF", err)
		}
		server.Close()
		m.wantIO(0, 10)
		m.wantEnd("reset", "connection_reset")
	})
}

// An int has 32 bits on some platforms, a copy more.
func TestLongCopies(t *testing.T) {
	const size uint64 = 3 << 30
	var from, to ConnStats
	src := source{stats: &from}
	src.done(int64(size), nil)
	to.wasWritten(int64(size))
	if from.ReceivedBytes() != size || to.SentBytes() != size {
		t.Errorf("got %d, %d, want %d of both", from.ReceivedBytes(), to.SentBytes(), size)
	}
}

// A first byte that a copy takes past Read is seen too.
func TestFirstByteOfACopy(t *testing.T) {
	const pause = 20 * time.Millisecond // the wait that is measured
	for name, copyByte := range map[string]func(dst, src net.Conn) (int64, error){
		"io.Copy":   func(dst, src net.Conn) (int64, error) { return io.Copy(dst, src) },
		"io.CopyN":  func(dst, src net.Conn) (int64, error) { return io.CopyN(dst, src, 1) },
		"to memory": func(_, src net.Conn) (int64, error) { return io.Copy(io.Discard, src) },
	} {
		t.Run(name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
				before := time.Now()
				src, srcPeer := pair(t, ln)
				dst, dstPeer := pair(t, ln)
				go io.Copy(io.Discard, dstPeer)
				done := make(chan struct{})
				go func() {
					defer close(done)
					copyByte(dst, src)
				}()
				time.Sleep(pause)
				if got := statsOf(src).FirstByteWait(); got != 0 {
					t.Errorf("before any byte: got %v, want 0", got)
				}
				mustWrite(t, srcPeer, 1)
				came := time.Since(before)
				eventually(t, "the byte is seen", func() bool { return statsOf(src).FirstByteWait() != 0 })
				srcPeer.Close()
				<-done
				if got, most := statsOf(src).FirstByteWait(), came+time.Second; got < pause || got > most {
					t.Errorf("got %v, want %v at least and %v at most", got, pause, most)
				}
			})
		})
	}
}

// A peer that ends, or breaks off, without a byte has sent none.
func TestNoFirstByteOfACopy(t *testing.T) {
	for name, end := range map[string]func(net.Conn){"end": func(c net.Conn) { c.Close() }, "reset": reset} {
		t.Run(name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, m *meter, ln net.Listener) {
				src, srcPeer := pair(t, ln)
				dst, _ := pair(t, ln)
				end(srcPeer)
				_, err := io.Copy(dst, src)
				if failed := name == "reset"; failed != (err != nil) {
					t.Errorf("got %v", err)
				}
				if got := statsOf(src).FirstByteWait(); got != 0 {
					t.Errorf("got %v, want 0", got)
				}
			})
		})
	}
}
