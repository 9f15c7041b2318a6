package otelnet

// closeReason tells who or what ended a connection.
type closeReason uint8

const (
	reasonLocal   closeReason = iota // we closed it
	reasonRemote                     // the peer ended it first
	reasonReset                      // the peer, or something on the way, reset it
	reasonTimeout                    // a deadline passed, or the kernel gave up
	reasonError                      // another error
)

// String returns the value of otelnet.close_reason.
func (r closeReason) String() string {
	switch r {
	case reasonLocal:
		return "local"
	case reasonRemote:
		return "remote"
	case reasonReset:
		return "reset"
	case reasonTimeout:
		return "timeout"
	default:
		return "error"
	}
}
