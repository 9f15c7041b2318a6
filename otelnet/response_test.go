package otelnet

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// The optional interfaces, each as a type to mix writers from.
type (
	flushPart  struct{}
	hijackPart struct{}
	readPart   struct{}
	pushPart   struct{}
	notifyPart struct{}
)

func (flushPart) Flush() {}
func (hijackPart) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.ErrUnsupported
}
func (readPart) ReadFrom(r io.Reader) (int64, error)  { return io.Copy(io.Discard, r) }
func (pushPart) Push(string, *http.PushOptions) error { return http.ErrNotSupported }
func (notifyPart) CloseNotify() <-chan bool           { return nil }

func TestWriterKeepsExactlyItsInterfaces(t *testing.T) {
	type rw = http.ResponseWriter
	w := &plainWriter{header: http.Header{}}
	for name, inner := range map[string]http.ResponseWriter{
		"none": w,
		"flush": struct {
			rw
			flushPart
		}{rw: w},
		"as http1": struct {
			rw
			flushPart
			hijackPart
			readPart
			notifyPart
		}{rw: w},
		"as http2": struct {
			rw
			flushPart
			pushPart
			notifyPart
		}{rw: w},
		"hijack alone": struct {
			rw
			hijackPart
		}{rw: w},
		"read alone": struct {
			rw
			readPart
		}{rw: w},
		"push alone": struct {
			rw
			pushPart
		}{rw: w},
		"flush and read": struct {
			rw
			flushPart
			readPart
		}{rw: w},
		"flush and close": struct {
			rw
			flushPart
			notifyPart
		}{rw: w},
		"all": struct {
			rw
			flushPart
			hijackPart
			readPart
			pushPart
			notifyPart
		}{rw: w},
	} {
		t.Run(name, func(t *testing.T) {
			_, wrapped := newResponse(inner)
			if got, want := abilities(wrapped), abilities(inner); got != want {
				t.Errorf("abilities: got %05b, want %05b", got, want)
			}
		})
	}
}

// Whatever way the body goes out, it is counted.
func TestWrittenBytes(t *testing.T) {
	type rw = http.ResponseWriter
	w := &plainWriter{header: http.Header{}}
	for name, inner := range map[string]http.ResponseWriter{
		"plain": w,
		"http1": struct {
			rw
			flushPart
			hijackPart
			readPart
			notifyPart
		}{rw: w},
		"mixed": struct {
			rw
			readPart
		}{rw: w},
	} {
		t.Run(name, func(t *testing.T) {
			resp, wrapped := newResponse(inner)
			wrapped.Write(make([]byte, 10))
			io.WriteString(wrapped, "12345")
			if rf, ok := wrapped.(io.ReaderFrom); ok {
				rf.ReadFrom(io.LimitReader(zeros{}, 100))
			} else {
				wrapped.Write(make([]byte, 100))
			}
			if resp.written != 115 || resp.key.status != 200 {
				t.Errorf("got %d bytes, status %d, want 115, 200", resp.written, resp.key.status)
			}
		})
	}
}

func TestFlushSendsStatus(t *testing.T) {
	type rw = http.ResponseWriter
	resp, wrapped := newResponse(struct {
		rw
		flushPart
	}{rw: &plainWriter{header: http.Header{}}})
	resp.flushed = true // and nothing is recorded
	if err := http.NewResponseController(wrapped).Flush(); err != nil {
		t.Fatal(err)
	}
	if resp.key.status != 200 {
		t.Errorf("status after a flush: got %d, want 200", resp.key.status)
	}
}

// ResponseController reaches through to what a real server can do.
func TestResponseController(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		srv := &http.Server{Handler: NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			if err := rc.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Errorf("%s: SetWriteDeadline: %v", r.Proto, err)
			}
			if err := rc.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Errorf("%s: SetReadDeadline: %v", r.Proto, err)
			}
			if err := rc.EnableFullDuplex(); err != nil && r.ProtoMajor == 1 {
				t.Errorf("%s: EnableFullDuplex: %v", r.Proto, err)
			}
			if err := rc.Flush(); err != nil {
				t.Errorf("%s: Flush: %v", r.Proto, err)
			}
			io.WriteString(w, r.Proto)
		}), "test", newMeter(t).option())}
		var p http.Protocols
		p.SetHTTP1(true)
		p.SetUnencryptedHTTP2(true)
		srv.Protocols = &p
		ln := serve(t, srv, false, newMeter(t).option())
		want := "HTTP/1.1"
		if h2 {
			want = "HTTP/2.0"
		}
		if _, got := get(t, insecureClient(t, false, h2), "http://"+ln.Addr().String()); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
