package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxRequests   = 256              // in flight at once, streams included
	maxBody       = 1 << 20          // of a POST
	answerTimeout = 30 * time.Second // to read a body, and to write an answer; streams and profiles set their own
)

// Server serves the page and the APIs. Make one with [New]; it is safe for concurrent use.
type Server struct {
	cfg    Config
	http   *http.Server
	hub    *hub
	page   *page
	cookie string       // what a browser holds after /login
	cert   *certificate // nil without TLS

	stop      context.CancelFunc // ends streams and profiles
	reporting oneByOne           // while a report is made
	building  oneByOne           // while the history is asked, or a profile of the moment is taken
	views     oneByOne           // while a profile or trace is unpacked
	outbox    outbox             // what is made and not read yet
	attempts  attempts           // at the token
	conns     conns
	summaries kept // of traces
	inFlight  atomic.Int64

	mu sync.Mutex
	ln net.Listener
	wg sync.WaitGroup
}

// New checks cfg and prepares a Server. It opens nothing yet. The error joins everything that is wrong.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Started.IsZero() {
		cfg.Started = time.Now()
	}
	pg, err := loadPage()
	if err != nil {
		return nil, fmt.Errorf("admin: read the embedded page: %w", err)
	}
	var cert *certificate
	if cfg.CertFile != "" {
		if cert, err = loadCertificate(cfg.CertFile, cfg.KeyFile); err != nil {
			return nil, err
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{cfg: cfg, page: pg, stop: stop, cookie: cookieValue(cfg.Token), cert: cert}
	s.reporting, s.building, s.views = newOneByOne(), newOneByOne(), newOneByOne()
	s.hub = newHub(ctx, cfg.History, s.encodeTick, cfg.OnViewer)
	s.http = &http.Server{
		Handler:           s.guard(s.routes()),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       smallSendBuffer,
		ConnState:         s.conns.note,
		ErrorLog:          log.New(io.Discard, "", 0), // a library does not log; what peers do wrong is theirs
	}
	return s, nil
}

// smallSendBuffer keeps what a viewer has not read in tens of kilobytes: the kernel would let it grow to megabytes on loopback
// before a write blocks and the viewer's slowness shows.
func smallSendBuffer(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(64 << 10) // without it a slow viewer is only found later
	}
	return ctx
}

// Start binds the address and serves until Shutdown. When the port is taken, the error names the address. A second Start is an
// error.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ln != nil {
		return errors.New("admin: already started")
	}
	ln, err := net.Listen("tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("admin: listen on %s: %w", s.cfg.Addr, err)
	}
	s.ln = ln
	serve := s.http.Serve
	if s.cert != nil {
		s.http.TLSConfig = &tls.Config{GetCertificate: s.cert.get, MinVersion: tls.VersionTLS12}
		serve = func(ln net.Listener) error { return s.http.ServeTLS(ln, "", "") }
	}
	s.wg.Go(func() {
		_ = serve(ln) // always an error; the one after Shutdown is expected, another ends the page and nothing else
	})
	return nil
}

// Addr returns the address that the server listens on, with the port chosen when the configured one was 0. Nil before Start.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ln == nil {
		return nil
	}
	return s.ln.Addr()
}

// URL returns where the page is, for a person: "http://127.0.0.1:6060/", or with https. "" before Start. When the server listens on all
// interfaces the host is localhost.
func (s *Server) URL() string {
	addr, ok := s.Addr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http"
	if s.cert != nil {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s/", scheme, net.JoinHostPort(host, fmt.Sprint(addr.Port)))
}

// Viewers returns how many streams are open.
func (s *Server) Viewers() int { return s.hub.count() }

// Shutdown ends streams and running profiles, waits for other answers until ctx ends, and closes the port. What is left when ctx
// ends is cut off, and the error says so. Calling it again, or without Start, is harmless.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	s.conns.end()
	err := s.http.Shutdown(ctx)
	if err != nil {
		_ = s.http.Close() // cuts the rest off; its errors are those of connections
		err = fmt.Errorf("admin: shut down: %w", err)
	}
	s.wg.Wait()
	s.hub.wait()
	return err
}
