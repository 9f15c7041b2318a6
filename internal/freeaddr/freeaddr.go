// Package freeaddr finds tests an address at which nobody listens.
package freeaddr

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Loopback returns a loopback address on which nobody listens, and nobody else will: its port lies below those that a system gives to
// outgoing connections and to those who listen on port 0. The test fails if there is none.
func Loopback(t testing.TB) string {
	t.Helper()
	for range 100 {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)))
		if err == nil {
			ln.Close()
			return ln.Addr().String()
		}
	}
	t.Fatal("no free port in a hundred tries")
	return ""
}
