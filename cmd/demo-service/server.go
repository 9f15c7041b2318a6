package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/otelnet/agent/otelnet"
)

// How long the routes take when all is well.
const (
	dataDelay = 10 * time.Millisecond
	userDelay = 50 * time.Millisecond
	slowDelay = 400 * time.Millisecond
)

// maxBody bounds what one request may upload or download.
const maxBody = 64 << 20

// index is for those who try the bare address.
const index = `The demo-service of the otelnet agent. Its routes:

GET  /api/data       10 ms
GET  /api/users      50 ms
GET  /api/stock      what the warehouse says
GET  /api/slow       400 ms
GET  /api/fail       always 500
GET  /api/health
GET  /api/download   ?bytes=, a mebibyte without it
POST /api/upload
`

// routes returns the service's mux.
func routes(s *shop) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/data", func(w http.ResponseWriter, r *http.Request) {
		err := s.db.lookup(r.Context(), dataDelay)
		s.stock.reserve()
		s.audit.record()
		s.recent.remember()
		answer(w, r, err, map[string]any{"data": []int{1, 1, 2, 3, 5, 8}})
	})
	mux.HandleFunc("GET /api/users", func(w http.ResponseWriter, r *http.Request) {
		err := s.db.lookup(r.Context(), userDelay)
		s.ranking.rank()
		answer(w, r, err, map[string]any{"users": []string{"ada", "grace", "edsger"}})
	})
	mux.HandleFunc("GET /api/stock", func(w http.ResponseWriter, r *http.Request) {
		n, err := s.warehouse.ask(r.Context())
		answer(w, r, err, map[string]any{"stock": strings.TrimSpace(n)})
	})
	mux.HandleFunc("GET /api/slow", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, wait(r.Context(), slowDelay), map[string]any{"took": slowDelay.String()})
	})
	mux.HandleFunc("GET /api/fail", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, errors.New("this route always fails"), nil)
	})
	mux.HandleFunc("GET /api/health", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, index) })
	mux.HandleFunc("POST /api/upload", upload)
	mux.HandleFunc("GET /api/download", download)
	return mux
}

// answer writes v as JSON, or err with the status that fits it.
func answer(w http.ResponseWriter, r *http.Request, err error, v any) {
	switch {
	case r.Context().Err() != nil:
		return // the client has gone
	case errors.Is(err, errDatabaseBusy):
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// upload counts the bytes it is sent.
func upload(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		http.Error(w, fmt.Sprintf("more than %d bytes", maxBody), http.StatusRequestEntityTooLarge)
	case err != nil:
		http.Error(w, "the body ended early", http.StatusBadRequest)
	default:
		answer(w, r, nil, map[string]any{"bytes": n})
	}
}

// download sends ?bytes= bytes, one mebibyte without it.
func download(w http.ResponseWriter, r *http.Request) {
	n := 1 << 20
	if s := r.URL.Query().Get("bytes"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil || n < 0 || n > maxBody {
			http.Error(w, fmt.Sprintf("bytes must be 0 to %d", maxBody), http.StatusBadRequest)
			return
		}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(n))
	io.CopyN(w, zeros{}, int64(n))
}

// zeros reads as zero bytes without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// httpServer is one listening HTTP server, with or without TLS.
type httpServer struct {
	server   *http.Server
	listener net.Listener
	tls      bool
}

// listenHTTP opens addr. These are the lines that a service adds to be observed.
func listenHTTP(addr, name string, mux http.Handler, cert *tls.Certificate, errorLog *log.Logger) (*httpServer, error) {
	ln, err := otelnet.Listen("tcp", addr, otelnet.WithName(name))
	if err != nil {
		return nil, err
	}
	srv := &http.Server{
		Handler:           otelnet.NewHandler(mux, "demo-service", otelnet.WithProfileLabels()),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          errorLog,
	}
	if cert != nil {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}}
	}
	otelnet.Instrument(srv)
	return &httpServer{server: srv, listener: ln, tls: cert != nil}, nil
}

// serve blocks until close is called, and then returns nil.
func (s *httpServer) serve() error {
	serve := s.server.Serve
	if s.tls {
		serve = func(ln net.Listener) error { return s.server.ServeTLS(ln, "", "") }
	}
	if err := serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", s.listener.Addr(), err)
	}
	return nil
}

// close lets requests under way finish for as long as ctx allows, then cuts them off.
func (s *httpServer) close(ctx context.Context) {
	if s.server.Shutdown(ctx) != nil {
		s.server.Close()
	}
	s.listener.Close() // for a server that has not served
}
