package agent

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestOutageTellsTwice(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, nil))
	o := &outage{signal: "metrics", logger: func() *slog.Logger { return logger }}

	o.record(nil)
	if out.Len() > 0 {
		t.Errorf("a success was logged: %s", out.String())
	}
	refused := errors.New("connection refused")
	for range 5 {
		o.record(refused)
	}
	if !errors.Is(o.last(), refused) {
		t.Errorf("last() = %v, want %v", o.last(), refused)
	}
	o.record(nil)
	o.record(nil)

	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "connection refused") || !strings.Contains(lines[1], "failed_exports=5") {
		t.Errorf("log of one outage of five exports, want the first failure and the recovery:\n%s", out.String())
	}
	if ok, failed := o.ok.Load(), o.failed.Load(); ok != 3 || failed != 5 {
		t.Errorf("counted %d exports and %d failures, want 3 and 5", ok, failed)
	}
	if o.last() != nil {
		t.Errorf("last() after recovery = %v, want nil", o.last())
	}
}
