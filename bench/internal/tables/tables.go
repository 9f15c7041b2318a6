// Package tables puts what was measured into a document, and says on what machine that was.
package tables

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// Place is where a document has its tables: between two lines of these texts.
type Place struct{ Begin, End string }

// Put replaces what stands at the place in the file. Where there is none, the file stays as it is.
func (p Place) Put(file, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("-doc: %w", err)
	}
	before, rest, ok := bytes.Cut(old, []byte(p.Begin))
	_, after, closed := bytes.Cut(rest, []byte(p.End))
	if !ok || !closed {
		return fmt.Errorf("-doc: %s lacks the lines %q and %q", file, p.Begin, p.End)
	}
	return os.WriteFile(file, slices.Concat(before, []byte(p.Begin), []byte(text), []byte(p.End), after), 0o666)
}

// Machine is Go's version, the system and its kernel, the processors and the load over the last five minutes.
func Machine() string {
	return fmt.Sprintf("%s %s/%s, %s, %d CPUs, load %s", runtime.Version(), runtime.GOOS, runtime.GOARCH, kernel(), runtime.NumCPU(), load())
}

func kernel() string {
	out, err := exec.Command("uname", "-sr").Output()
	if err != nil {
		return "kernel unknown"
	}
	return strings.TrimSpace(string(out))
}

func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(b)); err == nil && len(fields) > 1 {
		return fields[1]
	}
	return "unknown"
}
