package tracesum

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/exp/trace"
)

const (
	maxBytes      = 128 << 20 // of a trace, unpacked; ten times what the flight recorder holds, unless it was told to hold more
	maxGoroutines = 200_000   // alive at a time
)

// ErrTooLarge is returned, wrapped, for a trace that is beyond the bounds of [Read].
var ErrTooLarge = errors.New("too large to sum up")

// Read reads a whole trace from r. When ctx ends before the trace does, the summary is of what was read until then, and
// [Summary.Stopped] says so. A trace that is cut short, damaged or no trace is one error; one of more than 128 MB or 200,000
// goroutines wraps [ErrTooLarge].
func Read(ctx context.Context, r io.Reader) (sum *Summary, err error) {
	var events int64
	// The reader of x/exp/trace checks what it reads, but it is an experiment, and what it reads may be any file.
	defer func() {
		if v := recover(); v != nil {
			if fault, ok := v.(runtime.Error); ok {
				v = fault.Error()
			}
			sum, err = nil, fmt.Errorf("tracesum: damaged after %d events: %.200v", events, v)
		}
	}()
	limited := &io.LimitedReader{R: r, N: maxBytes + 1}
	buffered := bufio.NewReaderSize(limited, 64<<10)
	minor, err := checkHeader(buffered)
	if err != nil {
		return nil, err
	}
	reader, err := trace.NewReader(buffered)
	if err != nil {
		return nil, fmt.Errorf("tracesum: a trace of Go 1.%d, which the reader built into this program cannot read; go tool trace of that version can: %w",
			minor, err)
	}
	s := newSummer()
	for {
		event, err := reader.ReadEvent()
		if err == io.EOF {
			break
		}
		if limited.N <= 0 {
			return nil, fmt.Errorf("tracesum: more than %d MB: %w", maxBytes>>20, ErrTooLarge)
		}
		if err != nil {
			return nil, fmt.Errorf("tracesum: cut short or damaged after %d events: %w", events, err)
		}
		events++
		if err := s.add(event); err != nil {
			return nil, err
		}
		if events%4096 == 0 && ctx.Err() != nil {
			s.stopped = fmt.Sprintf("only the first %d events were read: %v", events, context.Cause(ctx))
			break
		}
	}
	if s.seen == 0 {
		return nil, errors.New("tracesum: an empty trace")
	}
	return s.summary(events), nil
}

// checkHeader refuses what is no trace of Go 1.22 or later, and returns which version's it is. Older ones would be read whole into memory.
func checkHeader(r *bufio.Reader) (version int, err error) {
	head, err := r.Peek(16)
	if err != nil {
		return 0, fmt.Errorf("tracesum: not an execution trace: %d bytes", len(head))
	}
	after, ok := strings.CutPrefix(string(head), "go 1.")
	minor, _, rest := strings.Cut(after, " trace\x00\x00\x00")
	n, err := strconv.Atoi(minor)
	if !ok || !rest || err != nil {
		return 0, fmt.Errorf("tracesum: not an execution trace: it begins with %.16q", head)
	}
	if n < 22 {
		return 0, fmt.Errorf("tracesum: a trace of Go 1.%d; those of Go 1.22 and later can be read", n)
	}
	return n, nil
}
