package otelnet

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/felixge/httpsnoop"
)

// response is what is known of one request while it is served, and the part of the ResponseWriter's wrapper that
// watches it: one allocation for both.
type response struct {
	http.ResponseWriter
	handler *handler
	request *http.Request   // as NewHandler was given it
	direct  *http.Request   // as the handler inside was given it
	conn    *ConnStats      // nil if the request is not joined to one
	active  *activeCounter  // until the end, or until it is hijacked
	ctx     context.Context // what the request is recorded with; the span's, if there is one
	start   int64           // as sinceStart
	key     requestKey

	route   atomic.Pointer[string] // nil until something inside tells it
	routing routing

	written   int64 // bytes of the body
	bodyRead  atomic.Int64
	flushed   bool
	hijacked  bool
	returned  bool   // the handler did not panic
	watched   bool   // somebody watches the connection
	firstByte uint32 // microseconds to the response's begin, at least 1; 0 unless watched
}

type responseKey struct{}

// responseContext is a response as the context that leads to it: that of its request in all else.
type responseContext response

func (c *responseContext) Deadline() (time.Time, bool) { return c.request.Context().Deadline() }
func (c *responseContext) Done() <-chan struct{}       { return c.request.Context().Done() }
func (c *responseContext) Err() error                  { return c.request.Context().Err() }

func (c *responseContext) Value(key any) any {
	if key == (responseKey{}) {
		return (*response)(c)
	}
	return c.request.Context().Value(key)
}

// Unwrap is for http.ResponseController.
func (resp *response) Unwrap() http.ResponseWriter { return resp.ResponseWriter }

func (resp *response) base() *response { return resp }

func (resp *response) WriteHeader(status int) {
	resp.sent(status)
	resp.ResponseWriter.WriteHeader(status)
}

// sent keeps the final status. Those of 1xx are sent before it, except 101, after which nothing comes.
func (resp *response) sent(status int) {
	if resp.key.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		resp.key.status = status
		if resp.lookWatched() {
			resp.firstByte = microseconds(sinceStart() - resp.start)
		}
	}
}

func (resp *response) Write(b []byte) (int, error) {
	resp.sent(http.StatusOK)
	n, err := resp.ResponseWriter.Write(b)
	resp.written += int64(n)
	return n, err
}

func (resp *response) WriteString(s string) (int, error) {
	resp.sent(http.StatusOK)
	n, err := io.WriteString(resp.ResponseWriter, s)
	resp.written += int64(n)
	return n, err
}

func (resp *response) readFrom(r io.Reader) (int64, error) {
	resp.sent(http.StatusOK)
	n, err := resp.ResponseWriter.(io.ReaderFrom).ReadFrom(r)
	resp.written += n
	return n, err
}

func (resp *response) flush() { _ = resp.flushError() }

func (resp *response) flushError() (err error) {
	resp.sent(http.StatusOK)
	switch f := resp.ResponseWriter.(type) {
	case interface{ FlushError() error }:
		err = f.FlushError()
	case http.Flusher:
		f.Flush()
	}
	if err == nil {
		resp.firstFlush()
	}
	return err
}

func (resp *response) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := resp.ResponseWriter.(http.Hijacker).Hijack()
	if err == nil && !resp.hijacked {
		resp.hijacked = true
		resp.active.end()
		s := statsOf(conn)
		if s == nil {
			s = resp.conn // inside a wrapper that does not show it
		}
		if s != nil {
			s.upgrade()
		}
	}
	return conn, rw, err
}

// The optional interfaces of a ResponseWriter. A handler asks for them, and must get those that are there, no others.
const (
	canFlush = 1 << iota
	canHijack
	canReadFrom
	canPush
	canCloseNotify
)

func abilities(w http.ResponseWriter) int {
	set := 0
	if _, ok := w.(http.Flusher); ok {
		set |= canFlush
	}
	if _, ok := w.(http.Hijacker); ok {
		set |= canHijack
	}
	if _, ok := w.(io.ReaderFrom); ok {
		set |= canReadFrom
	}
	if _, ok := w.(http.Pusher); ok {
		set |= canPush
	}
	//lint:ignore SA1019 handlers that still ask for it must find it
	if _, ok := w.(http.CloseNotifier); ok {
		set |= canCloseNotify
	}
	return set
}

// newResponse wraps w. The writers that net/http and httptest make have wrappers of their own; httpsnoop knows the rest.
func newResponse(w http.ResponseWriter) (*response, http.ResponseWriter) {
	switch abilities(w) {
	case canFlush | canHijack | canReadFrom | canCloseNotify:
		v := &http1Response{response{ResponseWriter: w}}
		return &v.response, v
	case canFlush | canPush | canCloseNotify:
		v := &http2Response{response{ResponseWriter: w}}
		return &v.response, v
	case canFlush:
		v := &flushResponse{response{ResponseWriter: w}}
		return &v.response, v
	case 0:
		v := &response{ResponseWriter: w}
		return v, v
	}
	v := &response{ResponseWriter: w}
	return v, httpsnoop.Wrap(w, httpsnoop.Hooks{
		WriteHeader: func(httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc { return v.WriteHeader },
		Write:       func(httpsnoop.WriteFunc) httpsnoop.WriteFunc { return v.Write },
		ReadFrom:    func(httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc { return v.readFrom },
		Flush:       func(httpsnoop.FlushFunc) httpsnoop.FlushFunc { return v.flush },
		Hijack:      func(httpsnoop.HijackFunc) httpsnoop.HijackFunc { return v.hijack },
	})
}

// responseOf finds a response of ours around or beneath w.
func responseOf(w http.ResponseWriter) *response {
	for range 16 {
		switch v := w.(type) {
		case interface{ base() *response }:
			return v.base()
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return nil
		}
	}
	return nil
}

// flushResponse wraps what httptest.ResponseRecorder can do.
type flushResponse struct{ response }

func (v *flushResponse) Flush()            { v.flush() }
func (v *flushResponse) FlushError() error { return v.flushError() }

// http1Response wraps what net/http's HTTP/1 writer can do.
type http1Response struct{ response }

func (v *http1Response) Flush()                                       { v.flush() }
func (v *http1Response) FlushError() error                            { return v.flushError() }
func (v *http1Response) ReadFrom(r io.Reader) (int64, error)          { return v.readFrom(r) }
func (v *http1Response) Hijack() (net.Conn, *bufio.ReadWriter, error) { return v.hijack() }
func (v *http1Response) CloseNotify() <-chan bool                     { return closeNotify(v.ResponseWriter) }

// http2Response wraps what net/http's HTTP/2 writer can do.
type http2Response struct{ response }

func (v *http2Response) Flush()                   { v.flush() }
func (v *http2Response) FlushError() error        { return v.flushError() }
func (v *http2Response) CloseNotify() <-chan bool { return closeNotify(v.ResponseWriter) }

func (v *http2Response) Push(path string, opts *http.PushOptions) error {
	return v.ResponseWriter.(http.Pusher).Push(path, opts)
}

func closeNotify(w http.ResponseWriter) <-chan bool {
	//lint:ignore SA1019 passed on as it is
	return w.(http.CloseNotifier).CloseNotify()
}
