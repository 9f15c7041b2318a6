package otelnet

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// WithTLSConfig sets the configuration of [Dialer.DialTLSContext]. It is not changed. Without it, or with nil, that is
// an empty one.
func WithTLSConfig(cfg *tls.Config) DialerOption {
	return optionFunc(func(c *config) { c.tlsConfig = cfg })
}

// DialTLSContext dials as [Dialer.DialContext] does and makes a TLS connection of it, a *tls.Conn, with the handshake
// done and recorded in otelnet.client.tls.handshake.duration. Without a ServerName in the configuration the host in
// address is it, as in tls.Dialer. ctx bounds the handshake too; when it fails, the connection is closed and the error of
// crypto/tls comes back unchanged.
//
// It fits http.Transport's field of that name, which then ignores its TLSClientConfig and TLSHandshakeTimeout: put
// NextProtos into the configuration here if HTTP/2 is wanted.
func (d *Dialer) DialTLSContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	cfg := d.tlsConfig
	if cfg == nil {
		cfg = new(tls.Config)
	}
	if cfg.ServerName == "" {
		cfg = cfg.Clone()
		cfg.ServerName = parseTarget(network, address).host
	}
	tc := tls.Client(conn, cfg)
	start := time.Now()
	err = tc.HandshakeContext(ctx)
	took := time.Since(start)

	state := tc.ConnectionState()
	if s := statsOf(conn); s != nil {
		if err == nil {
			s.noteTLS(state)
		}
		s.endpoint.recordHandshake(ctx, took, state, err)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return tc, nil
}
