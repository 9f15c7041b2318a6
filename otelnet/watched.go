package otelnet

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// lookWatched asks once for each request, when its response begins, whether somebody watches the connection.
func (resp *response) lookWatched() bool {
	resp.watched = resp.conn != nil && resp.conn.Watched()
	return resp.watched
}

// info is the request as it is shown to those who watch the connection.
func (resp *response) info(took float64) RequestInfo {
	key := &resp.key
	r := RequestInfo{
		Start:            atTime(resp.start),
		Method:           key.method.String(),
		Route:            key.route,
		Status:           key.status,
		ErrorType:        key.errorType(),
		DurationSeconds:  took,
		FirstByteSeconds: (time.Duration(resp.firstByte) * time.Microsecond).Seconds(),
	}
	if resp.firstByte == 0 && key.status != 0 {
		r.FirstByteSeconds = took // net/http answers when the handler has returned
	}
	if n, known := resp.requestBytes(); known {
		r.RequestBytes = &n
	}
	if !resp.hijacked {
		written := resp.responseBytes()
		r.ResponseBytes = &written
	}
	return r
}

// watchedCall is what a client's request keeps for those who watch its connection.
type watchedCall struct {
	firstByte float64 // seconds to the headers
	read      atomic.Int64
}

// keep shows the call to those who watch its connection. c.mu is held.
func (c *clientCall) keep(errorType string) {
	r := RequestInfo{
		Start:           atTime(c.start),
		Method:          c.key.method.String(),
		ErrorType:       errorType,
		DurationSeconds: seconds(c.start),
	}
	if c.watch != nil && c.key.status != 0 {
		r.Status, r.FirstByteSeconds = c.key.status, c.watch.firstByte
		if read := c.watch.read.Load(); c.key.status != http.StatusSwitchingProtocols {
			r.ResponseBytes = &read
		}
	}
	if n := c.req.ContentLength; n > 0 || n == 0 && (c.req.Body == nil || c.req.Body == http.NoBody) {
		r.RequestBytes = &n
	}
	c.conn.KeepRequest(r)
}

// errorType is error.type of the call as its metrics have it; body is what ended its response.
func (c *clientCall) errorType(body errorClass) string {
	switch {
	case c.key.err != errNone:
		return c.key.err.String()
	case body != errNone:
		return body.String()
	case c.key.status >= 400:
		return strconv.Itoa(c.key.status)
	}
	return ""
}
