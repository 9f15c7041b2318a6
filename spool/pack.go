package spool

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
)

// packer compresses what has to lie on disk; a tenth of the size means ten times the outage. It is not safe for concurrent use.
type packer struct {
	zip *gzip.Writer
}

// pack returns r compressed, if that makes it smaller.
func (p *packer) pack(r record) record {
	if r.encoding != plain || len(r.request) < 512 {
		return r
	}
	if p.zip == nil {
		p.zip, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	}
	var out bytes.Buffer
	p.zip.Reset(&out)
	_, err := p.zip.Write(r.request)
	if err != nil || p.zip.Close() != nil || out.Len() >= len(r.request) {
		return r
	}
	return record{at: r.at, encoding: gzipped, request: out.Bytes()}
}

// unpack returns the request as it is.
func unpack(r record) ([]byte, error) {
	if r.encoding == plain {
		return r.request, nil
	}
	zip, err := gzip.NewReader(bytes.NewReader(r.request))
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(zip, maxRequest+1))
	if err == nil && len(b) > maxRequest {
		err = fmt.Errorf("a request of more than %d bytes", maxRequest)
	}
	return b, err
}
