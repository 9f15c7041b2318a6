package admin

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/history"
	"github.com/otelnet/agent/otelnet"
)

// Config says what a [Server] serves and where. Addr and History are needed; everything else may stay zero.
type Config struct {
	// Addr is the host:port to listen on. Port 0 means any free one. A host that is not loopback, and an empty one means all
	// interfaces, needs a Token.
	Addr string
	// Token, where set, must come with each request except /healthz: as "Authorization: Bearer TOKEN", as the password of HTTP
	// basic authentication (go tool pprof http://x:TOKEN@host/…), or by visiting /login?token=TOKEN once in a browser. At least
	// 16 bytes. Without CertFile the connection is not encrypted.
	Token string
	// CertFile and KeyFile, set together, are PEM files of a certificate and its key: the server then speaks HTTPS alone, TLS 1.2
	// or newer, with HTTP/2. They are read by New, and again within ten seconds of a change, so a renewed certificate needs no
	// restart; while the files do not fit together, the last good pair is served.
	CertFile, KeyFile string
	// AllowedHosts are further host names, without port, under which requests may come: the name of a proxy. With a Token any may be used.
	AllowedHosts []string

	Service Service   // who runs here, for the page's header
	Started time.Time // when the service started; zero means when New was called

	History *history.Store // the page's data
	Alerts  AlertSource    // nil means that there are no rules
	// Connections returns a page of the connection table and how many rows there are without its offset and limit, as
	// [otelnet.ConnectionsPage] does. Nil means that there is no table.
	Connections func(otelnet.Filter) ([]otelnet.ConnInfo, int)
	// Connection returns the row of one connection and whether there is one, as [otelnet.ConnectionByID] does. Nil means that it is
	// looked for among all of Connections, which costs the more the more there are.
	Connection func(id uint64) (otelnet.ConnInfo, bool)
	// Requests returns the last requests of a connection, as [otelnet.WatchRequests] does, which keeps them only for those that
	// are asked for. Nil means that there are none.
	Requests func(id uint64) (otelnet.RequestLog, error)
	Metrics  http.Handler // serves /metrics; nil means 404
	// Captures are what /api/captures and the pages of captures show, and who takes the CPU profiles of /debug/pprof/profile.
	// Nil means that there are none.
	Captures CaptureSource
	// OnViewer is called with the number of open streams each time it changes, in order, from the goroutine of the viewer that
	// came or went. It must return soon.
	OnViewer func(n int)
}

// Service names the process, as its OpenTelemetry resource does.
type Service struct {
	Name     string `json:"name"`
	Version  string `json:"version,omitempty"`
	Instance string `json:"instance,omitempty"`
}

// AlertSource is what the server reads of an alert processor; *alertproc.Processor is one. Both must be safe for concurrent use.
type AlertSource interface {
	Alerts() []alertproc.Alert
	Rules() []alertproc.GroupStatus
}

const minToken = 16

// check returns all that is wrong with the configuration, joined.
func (c *Config) check() error {
	var errs []error
	if err := CheckAddr(c.Addr, c.Token); err != nil {
		errs = append(errs, fmt.Errorf("admin: %w", err))
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		errs = append(errs, fmt.Errorf("admin: certificate %q with key %q: set both for HTTPS, or neither", c.CertFile, c.KeyFile))
	}
	if c.History == nil {
		errs = append(errs, errors.New("admin: Config.History is nil: the page has nothing to show"))
	}
	return errors.Join(errs...)
}

// CheckAddr tells whether [New] would refuse Config.Addr with Config.Token, and why; nil means that it takes them. Whether the port
// is free shows when [Server.Start] binds it.
func CheckAddr(addr, token string) error {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	switch {
	case err != nil:
		return fmt.Errorf("address %q: want host:port, such as 127.0.0.1:6060", addr)
	case token != "" && len(token) < minToken:
		return fmt.Errorf("token of %d bytes: want at least %d", len(token), minToken)
	case token == "" && !isLoopback(host):
		return fmt.Errorf("address %q can be reached from other machines: set a token, or listen on 127.0.0.1", addr)
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
