package otelnet

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"reflect"
	"sync"
)

// clientCall is one request of a Transport, from RoundTrip to the end of its response's body. Its parts are what the
// request is sent with, so that they take one allocation together.
type clientCall struct {
	t      *Transport
	req    *http.Request // the caller's
	target *clientTarget
	key    clientKey
	start  int64 // as sinceStart
	ctx    callContext
	trace  httptrace.ClientTrace
	body   callBody

	mu    sync.Mutex      // guards the rest; hooks and bodies may be called from any goroutine
	span  context.Context // of the request's own span, nil if there is none
	conn  *ConnStats      // that carries the request, nil if it is none of ours
	watch *watchedCall    // nil if nobody watches the connection
	tries int32           // connections that the request was given
	over  bool
}

type callKey struct{}

// callContext is a request's context that leads to its call, also from the dial that the request causes.
type callContext struct {
	context.Context
	call *clientCall
}

func (c *callContext) Value(key any) any {
	switch key {
	case callKey{}:
		return c.call
	case traceKey:
		return &c.call.trace
	}
	return c.Context.Value(key)
}

// traceKey is what httptrace looks its trace up by, nil if it looks otherwise. With it callContext hands out the trace
// and spares the context that httptrace.WithClientTrace would make.
var traceKey = func() any {
	var ask keyContext
	ask.Context = context.Background()
	_ = httptrace.ContextClientTrace(&ask)
	if ask.keys != 1 || !reflect.TypeOf(ask.key).Comparable() {
		return nil
	}
	return ask.key
}()

// keyContext keeps what it was asked for.
type keyContext struct {
	context.Context
	key  any
	keys int
}

func (c *keyContext) Value(key any) any {
	c.key = key
	c.keys++
	return nil
}

// callOf returns the call that ctx belongs to, nil if there is none.
func callOf(ctx context.Context) *clientCall {
	call, _ := ctx.Value(callKey{}).(*clientCall)
	return call
}

// begin starts the clock and returns the request to send.
func (c *clientCall) begin() *http.Request {
	c.trace.GotConn = c.gotConn
	ctx := c.req.Context()
	if traceKey == nil || httptrace.ContextClientTrace(ctx) != nil {
		ctx = httptrace.WithClientTrace(ctx, &c.trace) // it calls the hooks that are there too
	}
	c.ctx = callContext{Context: ctx, call: c}
	c.target.active.methods[c.key.method].begin()
	sent := c.req.WithContext(&c.ctx)
	c.start = sinceStart()
	return sent
}

// gotConn is told of each connection that the request is given: a second one if net/http sends it again, because the
// first had gone stale or was shut down by its server.
func (c *clientCall) gotConn(info httptrace.GotConnInfo) {
	s := statsOf(info.Conn)
	if s != nil && s.endpoint.key.side != SideClient {
		s = nil
	}
	c.target.active.uses.note(info.Reused)

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	if c.tries++; c.tries > 1 {
		c.target.active.uses.resent.Add(1)
	}
	if c.conn != nil && c.conn.Watched() {
		c.keep("resent")
	}
	c.leave(true)
	if s != nil && s.acquire(info.Conn) {
		c.conn = s
	}
}

// leave lets go of the connection. c.mu is held.
func (c *clientCall) leave(failed bool) {
	if c.conn != nil {
		c.conn.release(failed)
		c.conn = nil
	}
}

// headers records what RoundTrip returned, and watches the body if there is one to come.
func (c *clientCall) headers(resp *http.Response, err error) {
	took := seconds(c.start)
	c.key.err = classifyHTTP(err)
	if resp != nil {
		c.key.status, c.key.major, c.key.minor = resp.StatusCode, uint8(resp.ProtoMajor), uint8(resp.ProtoMinor)
	}
	c.mu.Lock()
	ctx := c.span
	if c.conn != nil {
		c.conn.noteProtocol(c.key.major, c.key.minor)
		if c.conn.Watched() {
			c.watch = &watchedCall{firstByte: took}
		}
	}
	c.mu.Unlock()
	if ctx == nil {
		ctx = c.req.Context()
	}
	if c.t.own {
		c.target.options.get(c.key).recordIn(ctx, c.t.scope.ins.httpClientDuration, took)
	}

	switch {
	case err != nil || resp == nil:
		c.end(c.key.err != errCanceled, errNone)
	case resp.StatusCode == http.StatusSwitchingProtocols:
		// The connection is the caller's now, and stays in use until it is closed.
		c.mu.Lock()
		if c.watch != nil {
			c.keep("")
		}
		c.conn = nil
		c.mu.Unlock()
		c.end(false, errNone)
	case resp.Body == nil || resp.Body == http.NoBody:
		c.end(resp.StatusCode >= 500, errNone)
	default:
		if c.watch != nil {
			resp.Body = &countedBody{ReadCloser: resp.Body, n: &c.watch.read}
		}
		c.body = callBody{ReadCloser: resp.Body, call: c, ctx: ctx}
		resp.Body = &c.body
	}
}

// end is the end of the request; body is what ended its response early. It reports whether this was the first call.
func (c *clientCall) end(failed bool, body errorClass) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false
	}
	c.over = true
	if c.watch != nil && c.conn != nil {
		c.keep(c.errorType(body))
	}
	c.leave(failed)
	c.target.active.methods[c.key.method].end()
	return true
}

// callBody sees the end of a response's body, which is also the end of its request.
type callBody struct {
	io.ReadCloser
	call *clientCall
	ctx  context.Context
}

func (b *callBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end(err)
	}
	return n, err
}

// Close ends the request also if the body was not read to its end; that is the caller's choice and no error.
func (b *callBody) Close() error {
	b.end(nil)
	return b.ReadCloser.Close()
}

func (b *callBody) end(err error) {
	c := b.call
	took := seconds(c.start)
	class := errNone
	if err != nil && err != io.EOF {
		class = classifyHTTP(err)
	}
	if c.end(class != errNone && class != errCanceled || c.key.status >= 500, class) {
		set := c.target.bodies.get(bodyKey{method: c.key.method, err: class})
		set.recordIn(b.ctx, c.t.scope.ins.clientResponseDuration, took)
	}
}

// classifyHTTP sorts an error of a RoundTripper. What net/http says in words of its own is told apart here.
func classifyHTTP(err error) errorClass {
	if err == nil {
		return errNone
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return errNotTLS
	}
	return classify(err)
}

// spanKeeper stands inside otelhttp's transport and keeps the context with the request's own span, for exemplars.
type spanKeeper struct{ http.RoundTripper }

func (k spanKeeper) RoundTrip(req *http.Request) (*http.Response, error) {
	if call := callOf(req.Context()); call != nil {
		call.mu.Lock()
		call.span = req.Context()
		call.mu.Unlock()
	}
	return k.RoundTripper.RoundTrip(req)
}

// CloseIdleConnections passes on the call of whatever stands around it.
func (k spanKeeper) CloseIdleConnections() { closeIdle(k.RoundTripper) }
