// Package compat holds otelnet against what people use with it: net/http, chi and gorilla/mux, gRPC, PostgreSQL, Redis, QUIC, SMTP, websockets
// behind a reverse proxy, Unix sockets, Multipath TCP, and the kernel's short cuts for moving bytes. Each test runs the real
// thing and compares otelnet's counts with those of a witness that knows nothing of otelnet: a relay between the two ends, the
// server's own statistics, or the results of the system calls as strace saw them.
//
// It needs Linux and Debian's packages postgresql, redis-server, strace and iproute2; see the package e2e above. Tests that
// need a process of their own start this test binary again, see helpers in main_test.go.
package compat
