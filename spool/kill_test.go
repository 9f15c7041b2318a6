//go:build unix

package spool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// A process is killed with SIGKILL again and again, in the middle of writing as far as chance has it. What it said it had kept is there
// for the next one, in order, and the next one takes over.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("SPOOL_KILL_DIR"); dir != "" {
		writeUntilKilled(t, dir)
		return
	}
	dir := t.TempDir()
	var said []string
	for life := range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "SPOOL_KILL_DIR="+dir, fmt.Sprint("SPOOL_KILL_LIFE=", life))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if request, ok := strings.CutPrefix(lines.Text(), "kept "); ok {
				said = append(said, request)
			}
			if n == 50+life*7 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait()
	}
	s, told := openSpool(t, Config{Dir: dir}, osOpen)
	r := &receiver{}
	s.prime(r.send)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := r.has()
	for i := range got {
		got[i] = strings.TrimSpace(got[i])
	}
	// The last of each life may have been kept before it could say so.
	unsaid := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return slices.Contains(said, s) })
	if len(unsaid) > 5 {
		t.Errorf("%d requests arrived that nobody had kept: %v", len(unsaid), unsaid)
	}
	got = slices.DeleteFunc(got, func(s string) bool { return slices.Contains(unsaid, s) })
	if len(said) < 250 || !slices.Equal(got, said) {
		t.Errorf("arrived %d requests, kept %d; want the same in the same order", len(got), len(said))
	}
	t.Logf("%d kept by five lives, told: %q", len(said), told.all())
}

func writeUntilKilled(t *testing.T, dir string) {
	s, err := Open(Config{Dir: dir, Name: "metrics"})
	if err != nil {
		t.Fatal(err)
	}
	away := func(context.Context, record) (reply, error) { return reply{}, errRefused }
	for i := range 100_000 {
		request := fmt.Sprintf("%s.%d%s", os.Getenv("SPOOL_KILL_LIFE"), i, strings.Repeat(" ", 3000))
		_, err := s.deliver(context.Background(), record{at: time.Now(), request: []byte(request)}, away)
		var queued *QueuedError
		if !errors.As(err, &queued) {
			t.Fatal(err)
		}
		fmt.Println("kept", strings.TrimSpace(request))
	}
}
