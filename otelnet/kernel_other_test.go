//go:build !linux || 386 || s390x

package otelnet

import (
	"testing"

	"github.com/otelnet/agent/internal/tcpinfo"
)

const kernelTells = false

func waitState(t *testing.T, _ *ConnStats, _ tcpinfo.State) {
	t.Skip("no kernel states on this platform")
}
