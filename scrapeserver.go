package agent

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// scrapeServer answers /metrics, and nothing else, at the address that OpenTelemetry's variables give the Prometheus exporter. It asks
// for no token: it has nothing to tell but what is exported.
type scrapeServer struct {
	http  *http.Server
	ended chan struct{} // closed when it accepts no more
}

// maxScrapeConns is how many connections it holds; others wait.
const maxScrapeConns = 32

// scrapeAddr is where the variables want /metrics, "" where none is set: then the admin server has it.
func scrapeAddr(host, port string) string {
	if host == "" && port == "" {
		return ""
	}
	return net.JoinHostPort(cmp.Or(host, "localhost"), cmp.Or(port, "9464")) // the specification's defaults
}

// startScrapeServer listens; a port that is taken is an error.
func startScrapeServer(addr string, metrics http.Handler, log *slog.Logger) (*scrapeServer, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("agent: %s, %s: %w", envPrometheusHost, envPrometheusPort, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	s := &scrapeServer{ended: make(chan struct{}), http: &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       3 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
	go func() {
		defer close(s.ended)
		_ = s.http.Serve(netutil.LimitListener(ln, maxScrapeConns))
	}()
	return s, nil
}

// shutdown ends it; a scrape that is under way has until ctx ends.
func (s *scrapeServer) shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		_ = s.http.Close()
	}
	<-s.ended
	return err
}
