package agent

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestErrorLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&out, nil))
		l := &errorLog{logger: func() *slog.Logger { return logger }}
		lines := func() int { return strings.Count(out.String(), "\n") }

		for range 10 {
			l.Handle(errors.New("a"))
			l.Handle(errors.New("b"))
		}
		if got := lines(); got != 2 {
			t.Errorf("two errors ten times each: %d lines, want 2", got)
		}
		time.Sleep(errorRepeat)
		l.Handle(errors.New("a"))
		if got := lines(); got != 3 {
			t.Errorf("the same after a minute: %d lines, want 3", got)
		}
		for i := range 10 * errorsToldMax {
			l.Handle(fmt.Errorf("error %d", i))
		}
		// "b" is forgotten, "a" of this minute is not.
		if got := lines(); got != 3+errorsToldMax-1 {
			t.Errorf("a thousand different errors: %d lines, want %d", got, 3+errorsToldMax-1)
		}
		if len(l.told) > errorsToldMax {
			t.Errorf("remembers %d errors, want at most %d", len(l.told), errorsToldMax)
		}
	})
}
