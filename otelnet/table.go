package otelnet

import "time"

// Side tells which end of a connection this process is.
type Side string

// The two sides, also the values of the otelnet.side attribute.
const (
	SideServer Side = "server" // accepted by a listener of ours
	SideClient Side = "client" // dialled by us
)

// ConnInfo is one row of the connection table: a copy taken at one moment.
//
// Its JSON form is what /api/connections serves.
type ConnInfo struct {
	ID            uint64    `json:"id"`                    // unique in the process, ascending with time
	Side          Side      `json:"side"`                  // server or client
	Name          string    `json:"name"`                  // the listener's or the target's name
	Transport     string    `json:"transport"`             // network.transport: tcp, unix, …
	Local         string    `json:"local"`                 // local address
	Peer          string    `json:"peer"`                  // remote address; never a metric attribute
	State         string    `json:"state"`                 // new, active, idle, or closed
	Opened        time.Time `json:"opened"`                // when accepted or connected
	Closed        time.Time `json:"closed,omitzero"`       // zero while open
	LastActive    time.Time `json:"lastActive,omitzero"`   // last change of bytes or state that was seen
	ReceivedBytes uint64    `json:"receivedBytes"`         // read from the peer, below TLS
	SentBytes     uint64    `json:"sentBytes"`             // written to the peer, below TLS
	Requests      uint64    `json:"requests"`              // HTTP requests joined to the connection
	Errors        uint64    `json:"errors"`                // those that failed (5xx, panic, transport error)
	Route         string    `json:"route,omitempty"`       // http.route of the last request
	Protocol      string    `json:"protocol,omitempty"`    // HTTP/1.1, HTTP/2.0; "" if not known
	TLSVersion    string    `json:"tlsVersion,omitempty"`  // 1.2, 1.3; "" without TLS or if not known
	CloseReason   string    `json:"closeReason,omitempty"` // closed ones: local, remote, reset, timeout, error
	ErrorType     string    `json:"errorType,omitempty"`   // error.type of what ended it; "" for an orderly end

	AgeSeconds  float64 `json:"ageSeconds"`  // since it was opened, until its close
	IdleSeconds float64 `json:"idleSeconds"` // since LastActive, or since it was opened if there was nothing; until its close

	// How long the peer took after the accept to send its first byte, of a request or of its TLS handshake. 0 before that
	// byte has been read, and for dialled ones.
	FirstByteSeconds float64 `json:"firstByteSeconds,omitempty"`

	// Per second since the last collection, or within a second after one, between the two last. 0 for closed ones.
	ReceiveRate float64 `json:"receiveRate,omitempty"` // bytes
	SendRate    float64 `json:"sendRate,omitempty"`    // bytes
	RequestRate float64 `json:"requestRate,omitempty"` // requests

	// From struct tcp_info; for closed ones, just before the close. 0 where the kernel does not tell: macOS tells the
	// round-trip time in milliseconds, Retransmits and UnreadBytes, see docs/connections.md.
	RTTSeconds    float64 `json:"rttSeconds,omitempty"`    // smoothed round-trip time (tcpi_rtt)
	MinRTTSeconds float64 `json:"minRttSeconds,omitempty"` // shortest of the last minutes (tcpi_min_rtt)
	Retransmits   uint64  `json:"retransmits,omitempty"`   // segments sent again (tcpi_total_retrans)
	UnsentBytes   uint64  `json:"unsentBytes,omitempty"`   // written but never yet sent (tcpi_notsent_bytes)
	UnreadBytes   uint64  `json:"unreadBytes,omitempty"`   // received but not yet read (SIOCINQ); 0 for closed ones
}

// Filter selects and orders rows of the table. The zero Filter means all open connections, oldest first.
type Filter struct {
	State string // "" or "open": the open ones; "closed": the ring of closed ones; "all"; or one of new, active, idle
	Match string // a substring, without regard to case, of name, peer, local, route, state or close reason; "" matches all
	Sort  string // a JSON field name of ConnInfo, "-" before it for descending; "" means "id"
	Limit int    // at most so many rows; 0 means all

	Offset int // so many rows are left out before the first
}
