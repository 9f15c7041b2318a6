// Package spool keeps OTLP requests on disk while their receiver cannot be reached, and sends them in order, with the time stamps
// they were made with, when it is back. It sits below OpenTelemetry's own OTLP exporters, whose encoding it keeps:
//
//	s, err := spool.Open(spool.Config{Dir: "/var/lib/checkout/spool", Name: "metrics"})
//	exporter, err := otlpmetricgrpc.New(ctx,
//		otlpmetricgrpc.WithDialOption(grpc.WithChainUnaryInterceptor(s.UnaryClientInterceptor())))
//	// …
//	err = s.Close(ctx) // before the exporter's own Shutdown, which closes the connection
//
// or, over HTTP, WithHTTPClient(&http.Client{Transport: s.RoundTripper(base)}). Traces work the same with a spool of their own.
// [Open] is given no encoder: requests are kept as the exporter wrote them.
//
// [File] is another end for the same requests: a file of OTLP in JSON, one request a line.
//
// # Order
//
// Every request goes through the queue: it is appended, then sent when all before it are settled. So a live request never overtakes
// one that waits, and Prometheus, which refuses samples older than the newest of their series, sees them in order. The exporter's call
// waits for the answer only while nothing else is ahead; otherwise, and when the receiver does not answer, it returns a [*QueuedError]
// at once.
//
// # What happens to a request
//
//   - Sent: the receiver said yes. What it rejected of it (partial success) is counted and told, not repeated.
//   - Kept: no connection, no answer in time, or an answer that OTLP calls retryable (gRPC UNAVAILABLE and its kin, HTTP 429, 502,
//     503, 504). The next attempt follows after a pause that doubles from 1 s to 30 s with jitter, or after the one that the receiver
//     asked for (RetryInfo, Retry-After), up to 5 min.
//   - Dropped and counted by reason: refused for good by the receiver; older than MaxAge; pushed out by newer ones at MaxBytes, oldest
//     first; damaged on disk; not written, because the disk is full or gone.
//
// A request may arrive twice if the process dies between the answer and its note on disk. Cumulative metrics and spans are the
// same point or span then, which stores keep once; deltas are counted twice.
//
// # What survives
//
// A request is written with one write call before it is first sent, so it survives the death of the process, SIGKILL included, from
// then on. It is forced to disk (fsync) only while the receiver is away, so at most the request being written is lost in a power cut
// then. While all is well the file is cut back after each answer, mostly before the kernel writes it out at all: nothing is forced,
// and a power cut loses nothing but the request under way.
//
// Each record carries its length and a CRC-32C. A torn last record is cut off; what follows a damaged one is set aside as
// *.corrupt (the newest two are kept) and told to Config.OnError.
//
// # Processes
//
// A directory belongs to one service and one receiver. Several processes of that service may share it: each takes a numbered
// subdirectory of its own by an advisory lock, at most 64, and one that starts takes over the requests of those that have ended.
package spool
