package spool

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	colmetric "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/otelnet/agent/internal/filelock"
)

// Defaults and limits of [FileConfig].
const (
	DefaultFileMaxBytes = 64 << 20
	DefaultFileMaxFiles = 4

	MinFileMaxBytes = 64 << 10
)

// writtenField has the time of a line's writing, in nanoseconds since 1970 as OTLP has times.
const writtenField = "otelnetWrittenUnixNano"

// FileConfig says where metrics are written and how much of them is kept.
type FileConfig struct {
	// Path is the file that is written to. With "metrics.jsonl", older ones are metrics.1.jsonl, metrics.2.jsonl, …
	Path string
	// MaxBytes is the size at which a file gives way to a new one, in bytes. 0: [DefaultFileMaxBytes].
	MaxBytes int64
	// MaxFiles is how many files there are at most, the one that is written to among them. 0: [DefaultFileMaxFiles].
	MaxFiles int
}

// File writes metrics as OTLP in JSON, one export request a line, as the Collector's file exporter does and its otlp_json_file receiver
// reads. Its methods are safe for concurrent use.
//
// Each line begins with the time of its writing, in a field that readers of OTLP must ignore: the Collector tells files apart by their
// first thousand bytes, and those of one process were all the same, so that it took rotated files for one and passed over the others.
//
// A line is written with one write call and nothing is buffered, so what was exported is in the file, in whole lines, also after the
// process was killed. It is forced to disk when the file is closed or gives way.
type File struct {
	config FileConfig
	lock   *os.File

	mu   sync.Mutex
	file *os.File // nil after a rotation that failed, and after Close
	size int64
	done bool
}

// OpenFile opens the file for appending, and takes off a last line that a killed process has not finished. A file that another process
// writes, or one that cannot be written, is an error.
func OpenFile(c FileConfig) (*File, error) {
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultFileMaxBytes
	}
	if c.MaxFiles == 0 {
		c.MaxFiles = DefaultFileMaxFiles
	}
	switch {
	case c.Path == "":
		return nil, errors.New("spool: Path must be set")
	case c.MaxBytes < MinFileMaxBytes:
		return nil, fmt.Errorf("spool: MaxBytes is %d; allowed: %d or more", c.MaxBytes, MinFileMaxBytes)
	case c.MaxFiles < 1:
		return nil, fmt.Errorf("spool: MaxFiles is %d; allowed: 1 or more", c.MaxFiles)
	}
	guard, err := os.OpenFile(c.Path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	free, err := filelock.Try(guard)
	if err == nil && !free {
		err = errors.New("another process writes it")
	}
	if err != nil {
		_ = guard.Close()
		return nil, fmt.Errorf("spool: %s: %w", c.Path, err)
	}
	f := &File{config: c, lock: guard}
	if err := f.open(); err != nil {
		_ = guard.Close()
		return nil, fmt.Errorf("spool: %w", err)
	}
	return f, nil
}

// open opens the file as it is and goes to its end.
func (f *File) open() error {
	file, err := os.OpenFile(f.config.Path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	size, err := lastLineEnd(file)
	if err == nil {
		err = file.Truncate(size)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.file, f.size = file, size
	return nil
}

// lastLineEnd is where the last whole line ends.
func lastLineEnd(f *os.File) (int64, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	b := make([]byte, 64<<10)
	for end > 0 {
		n := min(end, int64(len(b)))
		if _, err := f.ReadAt(b[:n], end-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(b[:n], '\n'); i >= 0 {
			return end - n + int64(i) + 1, nil
		}
		end -= n
	}
	return 0, nil
}

// UnaryClientInterceptor writes the calls of an OTLP metrics exporter over gRPC to the file; no connection is ever made. The exporter's
// conversion of the SDK's data is used, its transport is not.
func (f *File) UnaryClientInterceptor() grpc.UnaryClientInterceptor {
	return func(_ context.Context, method string, req, _ any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, _ ...grpc.CallOption) error {
		request, ok := req.(*colmetric.ExportMetricsServiceRequest)
		if !ok {
			return fmt.Errorf("spool: %s: only metrics can be written to a file", method)
		}
		return f.Write(request)
	}
}

// Write writes one request as a line. It changes the request's exemplars, so the request must not be used afterwards.
func (f *File) Write(request *colmetric.ExportMetricsServiceRequest) error {
	line, err := encode(request, time.Now())
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return errClosed
	}
	if err := f.follow(); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if f.size > 0 && f.size+int64(len(line)) > f.config.MaxBytes {
		if err := f.rotate(); err != nil {
			return fmt.Errorf("spool: begin a new file: %w", err)
		}
	}
	if f.file == nil {
		if err := f.open(); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	if _, err := f.file.WriteAt(line, f.size); err != nil {
		return fmt.Errorf("spool: %w", errors.Join(err, f.file.Truncate(f.size))) // no half a line
	}
	f.size += int64(len(line))
	return nil
}

// follow opens the file anew if somebody has removed it, renamed it or cut it short, as logrotate does: what is written would go where
// nobody looks, or leave a hole.
func (f *File) follow() error {
	if f.file == nil {
		return nil
	}
	open, err := f.file.Stat()
	if err != nil {
		return err
	}
	if named, err := os.Stat(f.config.Path); err == nil && os.SameFile(open, named) && named.Size() == f.size {
		return nil
	}
	_ = f.file.Close()
	f.file = nil
	return f.open()
}

// rotate makes room for a new file: each older one is renamed to the next number, the oldest goes.
func (f *File) rotate() error {
	if f.file != nil {
		err := errors.Join(f.file.Sync(), f.file.Close())
		f.file = nil
		if err != nil {
			return err
		}
	}
	if f.config.MaxFiles == 1 {
		f.size = 0
		return remove(f.config.Path)
	}
	for i := f.config.MaxFiles - 1; i > 0; i-- {
		// A rename takes the place of the file that has the name.
		if err := os.Rename(f.numbered(i-1), f.numbered(i)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	f.size = 0
	return nil
}

// numbered is the name of the i-th file, 0 being the one that is written to.
func (f *File) numbered(i int) string {
	if i == 0 {
		return f.config.Path
	}
	ext := filepath.Ext(f.config.Path)
	return fmt.Sprintf("%s.%d%s", strings.TrimSuffix(f.config.Path, ext), i, ext)
}

// Close forces what was written to disk and closes the file. A second call does nothing.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return nil
	}
	f.done = true
	var err error
	if f.file != nil {
		err = errors.Join(f.file.Sync(), f.file.Close())
	}
	if err = errors.Join(err, f.lock.Close()); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// encode is OTLP's JSON: protobuf's, with enums as numbers and the ids of traces in hex. The time of writing stands before the rest.
func encode(request *colmetric.ExportMetricsServiceRequest, at time.Time) ([]byte, error) {
	for _, rm := range request.GetResourceMetrics() {
		for _, sm := range rm.GetScopeMetrics() {
			for _, m := range sm.GetMetrics() {
				eachExemplar(m, func(e *metricpb.Exemplar) {
					e.TraceId, e.SpanId = hexAsBase64(e.GetTraceId()), hexAsBase64(e.GetSpanId())
				})
			}
		}
	}
	b, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(request)
	if err != nil {
		return nil, err
	}
	head := fmt.Appendf(nil, `{%q:"%d"`, writtenField, at.UnixNano())
	rest := bytes.TrimSpace(b[1:]) // behind the brace
	if len(rest) > 1 {
		head = append(head, ',')
	}
	var line bytes.Buffer // protojson puts blanks in at random, so that nobody relies on their absence
	if err := json.Compact(&line, append(head, rest...)); err != nil {
		return nil, err
	}
	line.WriteByte('\n')
	return line.Bytes(), nil
}

// hexAsBase64 returns the bytes whose form in base64, which protobuf's JSON uses, is the hex form of id, which OTLP wants. It exists
// because hex digits are digits of base64 too, and the 32 and 16 of a trace's and a span's id are a multiple of four.
func hexAsBase64(id []byte) []byte {
	b, err := base64.StdEncoding.DecodeString(hex.EncodeToString(id))
	if err != nil {
		return nil // an id of another length is none
	}
	return b
}

func eachExemplar(m *metricpb.Metric, f func(*metricpb.Exemplar)) {
	all := func(exemplars []*metricpb.Exemplar) {
		for _, e := range exemplars {
			f(e)
		}
	}
	for _, p := range m.GetGauge().GetDataPoints() {
		all(p.GetExemplars())
	}
	for _, p := range m.GetSum().GetDataPoints() {
		all(p.GetExemplars())
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		all(p.GetExemplars())
	}
	for _, p := range m.GetExponentialHistogram().GetDataPoints() {
		all(p.GetExemplars())
	}
}
