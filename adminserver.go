package agent

import (
	"net"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/otelnet/agent/admin"
	"github.com/otelnet/agent/otelnet"
)

// startAdmin brings the page up. A port that is taken is an error here, not a line in a log later.
func (a *Agent) startAdmin() (*admin.Server, error) {
	cfg := admin.Config{
		Addr:     a.config.adminAddr,
		Token:    a.config.adminToken,
		CertFile: a.config.adminCert,
		KeyFile:  a.config.adminKey,
		Service: admin.Service{
			Name:     resourceString(a.resource, semconv.ServiceNameKey),
			Version:  resourceString(a.resource, semconv.ServiceVersionKey),
			Instance: resourceString(a.resource, semconv.ServiceInstanceIDKey),
		},
		History:     a.history,
		Alerts:      a.alerts,
		Connections: otelnet.ConnectionsPage,
		Connection:  otelnet.ConnectionByID,
		Requests:    otelnet.WatchRequests,
		Metrics:     a.metrics.scrape,
		OnViewer:    a.ticker.setViewers,
	}
	if a.captures != nil {
		cfg.Captures = a.captures
	}
	server, err := admin.New(cfg)
	if err != nil {
		return nil, err
	}
	return server, server.Start()
}

// externalURL is what notifications link to: where the page will be, if it has a port of its own choosing.
func externalURL(adminAddr string, tls bool) string {
	host, port, err := net.SplitHostPort(adminAddr)
	if err != nil || port == "0" {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http://"
	if tls {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, port) + "/"
}
