package capture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/otelnet/agent/internal/filelock"
)

// idForm is what the name of a capture looks like; nothing else in the directory is ours.
var idForm = regexp.MustCompile(`^\d{8}T\d{6}Z(-[A-Za-z0-9_]{1,40})?-[0-9a-f]{4}$`)

// maxManifest bounds what is read as a manifest.
const maxManifest = 1 << 20

// temporary is the ending of a file that is not whole yet.
const temporary = ".tmp"

// store is the directory of captures. It can reach nothing outside of it. Safe for concurrent use, as far as callers
// write different files.
type store struct {
	dir     string
	current atomic.Pointer[os.Root] // never nil
	lock    *os.File                // says that a process keeps captures here; nil where that could not be said
}

// openStore opens dir, making it if needed.
func openStore(dir string) (*store, error) {
	root, err := openRoot(dir)
	if err != nil {
		return nil, err
	}
	s := &store{dir: dir}
	s.current.Store(root)
	return s, nil
}

func openRoot(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("capture: make the directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("capture: open the directory: %w", err)
	}
	return root, nil
}

func (s *store) root() *os.Root { return s.current.Load() }

func (s *store) close() {
	if s.lock != nil {
		_ = s.lock.Close() // that is all it is for
	}
	_ = s.root().Close() // a handle for reading and naming; nothing is lost with it
}

// alone says so if another process keeps its captures in the directory. Where that cannot be told, or nothing be written, it says nothing.
func (s *store) alone() error {
	// A file open for writing would keep the disk from being remounted read-only.
	f, err := s.root().OpenFile(".lock", os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil
	}
	free, err := filelock.Try(f)
	if err == nil && free {
		s.lock = f
		return nil
	}
	_ = f.Close()
	if err != nil {
		return nil
	}
	return fmt.Errorf("capture: another process keeps its captures in %s: each removes what the other has made to make room; give each a directory of its own",
		s.dir)
}

// reopen makes the directory anew where somebody has removed it, as those do who clear /tmp. What was in it is gone.
func (s *store) reopen() error {
	root, err := openRoot(s.dir)
	if err != nil {
		return err
	}
	_ = s.current.Swap(root).Close() // whoever is reading from it has a file of his own
	return nil
}

// probe says why nothing could be stored now.
func (s *store) probe() error {
	const name = ".probe" + temporary
	defer func() { _ = s.root().Remove(name) }()
	if err := s.root().WriteFile(name, []byte("otelnet"), 0o600); err != nil {
		return fmt.Errorf("capture: nothing can be stored in %s: %w", s.root().Name(), err)
	}
	return nil
}

// scan returns the manifests that are there, oldest first. What an ended process left half done is set to interrupted,
// and what has no manifest is removed once it is too old to belong to a process that lives.
func (s *store) scan(now time.Time) ([]Manifest, error) {
	dir, err := s.root().Open(".")
	if err != nil {
		return nil, fmt.Errorf("capture: read the directory: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("capture: read the directory: %w", err)
	}
	var all []Manifest
	for _, name := range names {
		if !idForm.MatchString(name) {
			continue
		}
		m, err := s.read(name)
		if err == nil {
			if m.State == StateInterrupted && now.Sub(m.At) > time.Minute {
				s.removeTemporary(name)
			}
			all = append(all, m)
			continue
		}
		if info, statErr := s.root().Lstat(name); statErr == nil && now.Sub(info.ModTime()) > time.Minute {
			_ = s.remove(name) // if it stays, the next process finds it again
		}
	}
	slices.SortStableFunc(all, func(a, b Manifest) int { return a.At.Compare(b.At) })
	return all, nil
}

// removeTemporary removes what a killed process was writing: no manifest counts it.
func (s *store) removeTemporary(id string) {
	for _, file := range files {
		_ = s.root().Remove(id + "/" + file + temporary) // hardly one of them is there
	}
	_ = s.root().Remove(id + "/" + ManifestFile + temporary)
}

// read reads a manifest and believes of it only what it can check.
func (s *store) read(id string) (Manifest, error) {
	var m Manifest
	if _, ok := s.size(id, ManifestFile); !ok { // to open a pipe could take for ever
		return m, fmt.Errorf("capture: %s has no manifest: %w", id, fs.ErrNotExist)
	}
	f, err := s.root().Open(id + "/" + ManifestFile)
	if err != nil {
		return m, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return m, err
	}
	if m.ID != id {
		return m, fmt.Errorf("capture: the manifest of %s is that of %.80q", id, m.ID)
	}
	if m.State != StateDone {
		m.State = StateInterrupted
	}
	s.believe(&m)
	return m, nil
}

// believe leaves of the artefacts in a manifest what the directory bears out.
func (s *store) believe(m *Manifest) {
	m.Artefacts = slices.DeleteFunc(m.Artefacts, func(a Artefact) bool { return a.Kind.File() == "" })
	for i := range m.Artefacts {
		a := &m.Artefacts[i]
		a.File = a.Kind.File()
		if a.Status != StatusOK {
			a.Size = 0
			continue
		}
		size, ok := s.size(m.ID, a.File)
		if !ok {
			a.Status, a.Why, a.Size = StatusFailed, "the file is gone", 0
			continue
		}
		a.Size = size
	}
	if m.State != StateInterrupted {
		return
	}
	// A process may be killed between storing a file and saying so. A file in place is whole.
	for _, k := range order {
		if _, told := m.Artefact(k); told {
			continue
		}
		if size, ok := s.size(m.ID, k.File()); ok {
			m.Artefacts = append(m.Artefacts, Artefact{Kind: k, File: k.File(), Status: StatusOK, Size: size})
		}
	}
	sortArtefacts(m.Artefacts)
}

// size is that of a stored file; false where there is none, or something that is no file.
func (s *store) size(id, file string) (int64, bool) {
	info, err := s.root().Lstat(id + "/" + file)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Size(), true
}

// create makes the directory of a capture. lost says that those of all others are gone.
func (s *store) create(id string) (lost bool, err error) {
	err = s.root().Mkdir(id, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.reopen(); err == nil {
			lost, err = true, s.root().Mkdir(id, 0o700)
		}
	}
	return lost, err
}

// remove removes a capture.
func (s *store) remove(id string) error {
	if !idForm.MatchString(id) {
		return fmt.Errorf("capture: %.80q is no capture", id)
	}
	return s.root().RemoveAll(id)
}

// open opens a stored file for reading.
func (s *store) open(id, file string) (io.ReadSeekCloser, error) {
	return s.root().Open(id + "/" + file)
}

// write stores a file as a whole or not at all. At most limit bytes are written, and none after ctx has ended.
func (s *store) write(ctx context.Context, id, file string, limit int64, fill func(io.Writer) error) (size int64, err error) {
	name := id + "/" + file
	f, err := s.root().OpenFile(name+temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	w := &boundedWriter{ctx: ctx, to: f, limit: limit}
	err = fill(w)
	if w.err != nil {
		err = w.err // the cause; what filled it may have put its own words around it, or none
	}
	err = errors.Join(err, f.Close()) // some file systems tell only here that they are full
	if err == nil {
		err = s.root().Rename(name+temporary, name)
	}
	if err != nil {
		_ = s.root().Remove(name + temporary)
		return 0, err
	}
	return w.written, nil
}

// writeManifest stores m.
func (s *store) writeManifest(m Manifest) error {
	body, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	_, err = s.write(context.Background(), m.ID, ManifestFile, maxManifest, func(w io.Writer) error {
		_, err := w.Write(append(body, '\n'))
		return err
	})
	return err
}

// boundedWriter is a file that may not grow beyond a limit. Its first error stays.
type boundedWriter struct {
	ctx     context.Context
	to      io.Writer
	limit   int64
	written int64
	err     error
}

func (w *boundedWriter) Write(p []byte) (int, error) {
	if w.err == nil && w.ctx.Err() != nil {
		w.err = context.Cause(w.ctx)
	}
	if w.err == nil && w.written+int64(len(p)) > w.limit {
		w.err = fmt.Errorf("larger than the %s that are left for this capture", mebibytes(w.limit))
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.to.Write(p)
	w.written += int64(n)
	w.err = err
	return n, err
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// plainly is an error's text for a manifest: without the operation and path, which say nothing to the reader.
func plainly(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Op + ": " + p.Err.Error()
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
