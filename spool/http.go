package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	neturl "net/url"
	"time"
)

// maxReply bounds what is read of an answer.
const maxReply = 4 << 20

// httpReply is a whole answer.
type httpReply struct {
	status int
	header http.Header
	body   []byte
}

// RoundTripper sends the requests of an OTLP exporter over HTTP through the spool. base carries them; nil is http.DefaultTransport. Later
// attempts go to the latest request's URL with its headers; none are kept on disk.
func (s *Spool) RoundTripper(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &roundTripper{spool: s, client: http.Client{Transport: base}}
}

type roundTripper struct {
	spool  *Spool
	client http.Client // follows redirects, which the exporter's own client no longer sees
}

func (t *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	r := record{at: time.Now()}
	if req.Body != nil {
		body, err := io.ReadAll(io.LimitReader(req.Body, maxRequest+1))
		_ = req.Body.Close()
		if err == nil && len(body) > maxRequest {
			err = errTooLarge
		}
		if err != nil {
			return nil, fmt.Errorf("spool: read the request: %w", err)
		}
		r.request = body
	}
	if req.Header.Get("Content-Encoding") == "gzip" {
		r.encoding = gzipped
	}
	send := t.sender(req)
	if primes(req.Context()) {
		t.spool.prime(send)
		return response(req, &httpReply{status: http.StatusOK}), nil
	}
	got, err := t.spool.deliver(req.Context(), r, send)
	if refused, ok := err.(*httpError); ok {
		return response(req, refused.reply), nil // the exporter reads it
	}
	if err != nil {
		return nil, err
	}
	return response(req, got.response), nil
}

// sender sends records as req was sent.
func (t *roundTripper) sender(req *http.Request) sendFunc {
	url, header, zipped := req.URL, req.Header.Clone(), req.Header.Get("Content-Encoding") == "gzip"
	return func(ctx context.Context, r record) (reply, error) {
		body, h := r.request, header
		if zipped != (r.encoding == gzipped) { // what was kept under other settings, or compressed to be kept
			h = header.Clone()
			if r.encoding == plain {
				h.Del("Content-Encoding")
			} else {
				b, err := unpack(r)
				if err != nil {
					return reply{}, &httpError{&httpReply{status: http.StatusBadRequest, body: []byte(err.Error())}}
				}
				body = b
			}
		}
		out, err := http.NewRequestWithContext(ctx, http.MethodPost, url.String(), bytes.NewReader(body))
		if err != nil {
			return reply{}, err
		}
		out.Header = h
		resp, err := t.client.Do(out)
		if err != nil {
			var where *neturl.Error // it repeats the URL, and the exporter's client will once more
			if errors.As(err, &where) {
				err = where.Err
			}
			return reply{}, err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
		if err != nil {
			return reply{}, err
		}
		got := &httpReply{status: resp.StatusCode, header: resp.Header, body: answer}
		if got.status < 200 || got.status > 299 {
			return reply{}, &httpError{got}
		}
		one := reply{response: got}
		if resp.Header.Get("Content-Type") == "application/x-protobuf" {
			one.message = answer
		}
		return one, nil
	}
}

// response makes the answer for the exporter.
func response(req *http.Request, r *httpReply) *http.Response {
	if r == nil {
		r = &httpReply{status: http.StatusOK}
	}
	header := r.header
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", r.status, http.StatusText(r.status)),
		StatusCode:    r.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          io.NopCloser(bytes.NewReader(r.body)),
		ContentLength: int64(len(r.body)),
		Request:       req,
	}
}
