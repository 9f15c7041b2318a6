// Package otelnet instruments network connections and HTTP with the OpenTelemetry metric API.
//
// Wrap what listens, what dials, what serves and what sends; everything else stays as it is:
//
//	ln, err := otelnet.Listen("tcp", ":8080")
//	srv := &http.Server{Handler: otelnet.NewHandler(mux, "checkout")}
//	otelnet.Instrument(srv) // joins requests to connections
//	err = srv.Serve(ln)
//
//	client := &http.Client{Transport: otelnet.NewTransport(nil)}
//
// Metrics go to the global MeterProvider or to that of [WithMeterProvider]. [Connections] returns the table of all
// connections of the process. The package uses the OpenTelemetry API alone, no SDK and no exporter.
//
// # Metrics
//
// Durations are in seconds, sizes in bytes. Counters are cumulative sums that survive the connections they came from.
//
//	otelnet.server.active_connections    updowncounter {connection}  accepted and not yet closed
//	otelnet.server.connections           counter       {connection}  accepted
//	otelnet.server.connection.duration   histogram     s             from Accept to Close, recorded at Close
//	otelnet.server.accept.errors         counter       {error}       failed calls of Accept
//	otelnet.client.active_connections    updowncounter {connection}  dialled and not yet closed
//	otelnet.client.connections           counter       {connection}  dialled
//	otelnet.client.connection.duration   histogram     s             from the dial's success to Close, recorded at Close
//	otelnet.client.dial.duration         histogram     s             DialContext, name lookup and all addresses included
//	otelnet.client.connect.duration      histogram     s             connecting to one address (httptrace.ConnectDone)
//	otelnet.server.tls.handshake.duration histogram    s             from the accept to the end of the TLS handshake
//	otelnet.client.tls.handshake.duration histogram    s             TLS handshakes of dialled connections
//	dns.lookup.duration                  histogram     s             name lookups of dials (httptrace.DNSDone)
//	otelnet.connection.io                counter       By            struct tcp_info on Linux, else counted by the calls
//	otelnet.connection.errors            counter       {error}       connections that an error ended, counted at Close
//	otelnet.server.accept_queue.wait     histogram     s             from TCP's handshake to Accept (tcpi_last_data_sent)
//	otelnet.server.accept_queue.length   gauge         {connection}  waiting to be accepted (tcpi_unacked of the listener)
//	otelnet.server.accept_queue.limit    gauge         {connection}  may wait at most (tcpi_sacked of the listener)
//	otelnet.tcp.rtt                      histogram     s             tcpi_rtt, every 10 s while in use, and at Close
//	otelnet.tcp.min_rtt                  histogram     s             tcpi_min_rtt, at the same moments
//	otelnet.tcp.retransmits              counter       {segment}     tcpi_total_retrans
//	otelnet.tcp.segments                 counter       {segment}     tcpi_segs_out, tcpi_segs_in
//	otelnet.tcp.busy_time                counter       s             tcpi_busy_time: data sent or waiting, not all acknowledged
//	otelnet.tcp.rwnd_limited_time        counter       s             tcpi_rwnd_limited: held back by the peer's window
//	otelnet.tcp.sndbuf_limited_time      counter       s             tcpi_sndbuf_limited: held back by the send buffer
//	http.server.request.duration         histogram     s             from the handler's start to its return
//	http.server.active_requests          updowncounter {request}     handlers at work
//	http.server.request.body.size        histogram     By            Content-Length, or what was read; WithBodySizes
//	http.server.response.body.size       histogram     By            what the handler wrote; WithBodySizes
//	http.client.request.duration         histogram     s             RoundTrip, up to the response's headers
//	http.client.active_requests          updowncounter {request}     from RoundTrip to the end of a response's body, if it has one
//	http.client.open_connections         updowncounter {connection}  of our dialers, with requests under way or idle
//	http.client.connection.duration      histogram     s             of those, from the dial's success to Close
//	otelnet.client.response.duration     histogram     s             RoundTrip to the end of a response's body, if it has one
//	otelnet.client.connection.uses       counter       {request}     requests given a connection (httptrace.GotConn)
//	otelnet.client.request.resends       counter       {request}     given another one, as the first had gone stale
//	otelnet.server.time_to_first_byte    histogram     s             to the first Flush of responses that are streamed
//	otelnet.server.upgraded_connections  updowncounter {connection}  hijacked by a handler (websockets) and not yet closed
//
// Connection metrics carry otelnet.listener, or server.address and server.port of what was dialled, and
// network.transport and network.type. Durations of connections add otelnet.close_reason, error.type and
// tls.protocol.version where they are known. otelnet.connection.io carries network.io.direction (transmit, receive),
// otelnet.side (server, client), and otelnet.listener or otelnet.target; so do the otelnet.tcp metrics, the direction
// with the segments alone. Handshakes carry tls.protocol.version, tls.resumed and error.type, lookups dns.question.name and
// error.type. Every value comes from a closed set: unknown methods and targets over the limit become "_OTHER"; no client
// address, Host header or raw path is ever an attribute.
//
// # Bytes
//
// On Linux the bytes of a TCP connection are the kernel's own counts, read when a reader collects and at Close. They are
// exact whichever way the bytes moved (write, writev, sendfile, splice). Received bytes include those that the program
// has not read yet, and may be one too high if a reset follows the peer's end of data unseen. Elsewhere, and with
// Multipath TCP, the wrapper's calls are counted; there net.Buffers.WriteTo writes past the count.
//
// What only the kernel knows, otelnet.tcp and the accept queue, is absent there: no series instead of one of zeros. On
// macOS otelnet.tcp.rtt, in whole milliseconds, otelnet.tcp.retransmits and otelnet.tcp.segments are there, of packets
// with data alone.
//
// # Cost
//
// Read and Write cost a few nanoseconds more, on Linux nothing, and allocate nothing. A connection takes 256 bytes, and a system call
// or two of half a microsecond when it opens, closes and is collected. A request that is served and not traced costs about
// a microsecond, half of that where the MeterProvider is that of package agent, and one allocation, or two where something further in
// finds it by its context, as [Routes] does, and its connection is not an instrumented HTTP/1 one. A request that is sent costs about
// the same, and three allocations.
package otelnet

// ScopeName is the instrumentation scope of every instrument this package creates.
const ScopeName = "github.com/otelnet/agent/otelnet"
