package stack

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Witness is the service of e2e/witness: it has one gauge, whose values are the numbers of its exports, and writes each down.
type Witness struct {
	dir  string
	env  []string
	life int
	*Process
}

// Interval is one export as the service knows it.
type Interval struct {
	Number int64
	At     time.Time
}

var buildWitness = sync.OnceValues(func() (string, error) {
	path := filepath.Join(Root(), "e2e", ".cache", "witness")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "build", "-C", filepath.Join(Root(), "e2e"), "-o", path, "./witness").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the witness: %w\n%s", err, out)
	}
	return path, nil
})

// StartWitness starts it; it exports every ExportInterval.
func StartWitness(tb testing.TB, dir string, env ...string) *Witness {
	tb.Helper()
	w := &Witness{dir: dir, env: append(env, fmt.Sprintf("OTEL_METRIC_EXPORT_INTERVAL=%d", ExportInterval.Milliseconds()))}
	w.Start(tb)
	return w
}

// Start starts it again, with the same settings.
func (w *Witness) Start(tb testing.TB) {
	tb.Helper()
	path, err := buildWitness()
	if err != nil {
		tb.Fatal(err)
	}
	w.life++
	w.Process = Start(tb, Command{
		Name: "witness", Path: path, Dir: w.dir, Env: w.env, Args: []string{w.file(), fmt.Sprint(w.life)},
	})
}

func (w *Witness) file() string { return filepath.Join(w.dir, "witness.txt") }

// Intervals returns what all its lives have written down.
func (w *Witness) Intervals(tb testing.TB) (all []Interval) {
	tb.Helper()
	text, err := os.ReadFile(w.file())
	if err != nil && !os.IsNotExist(err) {
		tb.Fatal(err)
	}
	for lines := bufio.NewScanner(strings.NewReader(string(text))); lines.Scan(); {
		var one Interval
		var ms int64
		if _, err := fmt.Sscan(lines.Text(), &one.Number, &ms); err != nil {
			tb.Fatalf("witness: %q: %v", lines.Text(), err)
		}
		one.At = time.UnixMilli(ms)
		all = append(all, one)
	}
	return all
}

// Pass waits until n more exports have been written down.
func (w *Witness) Pass(tb testing.TB, n int) {
	tb.Helper()
	want := len(w.Intervals(tb)) + n
	Until(tb, time.Duration(2*n+20)*ExportInterval, fmt.Sprintf("%d more exports", n), func(context.Context) error {
		if err := w.alive(); err != nil {
			tb.Fatal(err)
		}
		if now := len(w.Intervals(tb)); now < want {
			return fmt.Errorf("%d to go", want-now)
		}
		return nil
	})
}
