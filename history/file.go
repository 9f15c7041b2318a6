package history

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// A file is fileHead, the checksum of the rest, and a gob of fileStore. Another version of the format has another head.
const fileHead = "otelnet history 1\n"

const maxFile = 256 << 20

type fileStore struct {
	NextSlot uint64
	Restarts []uint64
	Blocks   []fileBlock
	Metrics  []fileMetric
}

type fileBlock struct {
	ID    uint64
	Times []int64
	Thin  bool
}

type fileMetric struct {
	Scope, Name, Unit string
	Kind              Kind
	IsInt             bool
	Series            []fileSeries
}

type fileSeries struct {
	Attrs    []fileAttr
	Bounds   []float64
	First    uint64
	FromZero bool
	Chunks   []fileChunk
}

type fileChunk struct {
	Block, Last uint64
	Data        []byte
}

// fileAttr is an attribute. Lists are kept as their text: such a series is shown, but not continued.
type fileAttr struct {
	Key  string
	Type attribute.Type
	Text string
	Int  int64
	Real float64
}

// Save writes the store to Config.File, whole or not at all: to a file beside it that then takes its place. Without a File it
// does nothing. Append waits while the samples are copied, not while they are written.
func (s *Store) Save() error {
	if s.cfg.File == "" {
		return nil
	}
	var body bytes.Buffer
	if err := gob.NewEncoder(&body).Encode(s.toFile()); err != nil {
		return fmt.Errorf("history: encode %s: %w", s.cfg.File, err)
	}
	if err := writeWhole(s.cfg.File, body.Bytes()); err != nil {
		return fmt.Errorf("history: save: %w", err)
	}
	return nil
}

func writeWhole(path string, body []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	head := binary.LittleEndian.AppendUint32([]byte(fileHead), crc32.ChecksumIEEE(body))
	_, err = f.Write(append(head, body...))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func (s *Store) toFile() *fileStore {
	s.mu.RLock()
	defer s.mu.RUnlock()
	f := &fileStore{NextSlot: s.nextSlot, Restarts: append([]uint64(nil), s.restarts...)}
	for _, b := range s.blocks {
		f.Blocks = append(f.Blocks, fileBlock{b.id, append([]int64(nil), b.times[:b.n]...), b.thin})
	}
	for _, m := range s.order {
		fm := fileMetric{Scope: m.key.scope, Name: m.key.name, Unit: m.unit, Kind: m.key.kind, IsInt: m.key.isInt}
		for _, sr := range m.all {
			fsr := fileSeries{Bounds: sr.bounds, First: sr.first, FromZero: sr.fromZero}
			for it := sr.attrs.Iter(); it.Next(); {
				fsr.Attrs = append(fsr.Attrs, toFileAttr(it.Attribute()))
			}
			for _, c := range sr.chunks {
				fsr.Chunks = append(fsr.Chunks, fileChunk{c.block, c.last, append([]byte(nil), c.data...)})
			}
			fm.Series = append(fm.Series, fsr)
		}
		f.Metrics = append(f.Metrics, fm)
	}
	return f
}

// load fills the new store from Config.File. A file that is not there is no error if it can be made; one that cannot be used is
// renamed, so that it is neither tried again nor lost, and the store stays empty.
func (s *Store) load(now time.Time) error {
	f, err := readFile(s.cfg.File, now)
	if err == nil {
		s.fromFile(f)
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return tryDir(s.cfg.File)
	}
	aside := s.cfg.File + ".corrupt"
	if rename := os.Rename(s.cfg.File, aside); rename != nil {
		return fmt.Errorf("history: %s was not used: %w, and could not be renamed: %w", s.cfg.File, err, rename)
	}
	return fmt.Errorf("history: %s was not used and is now %s: %w", s.cfg.File, aside, err)
}

// tryDir finds out now what Save would meet when the process ends, and nobody reads the log any more.
func tryDir(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		return fmt.Errorf("history: %s cannot be written: %w", path, err)
	}
	return nil
}

func readFile(path string, now time.Time) (*fileStore, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%d bytes; at most %d are read", info.Size(), maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(data, []byte(fileHead))
	if !ok || len(rest) < 4 {
		return nil, errors.New("not a history of this version")
	}
	sum, body := binary.LittleEndian.Uint32(rest), rest[4:]
	if crc32.ChecksumIEEE(body) != sum {
		return nil, errors.New("its checksum is wrong")
	}
	var f fileStore
	if err := gob.NewDecoder(bytes.NewReader(body)).Decode(&f); err != nil {
		return nil, err
	}
	for i, b := range f.Blocks {
		if len(b.Times) == 0 || len(b.Times) > blockSlots || i > 0 && b.ID <= f.Blocks[i-1].ID || b.ID > f.NextSlot/blockSlots {
			return nil, errors.New("its blocks are not in order")
		}
	}
	if n := len(f.Blocks); n > 0 {
		// New snapshots would be ignored until the clock is past it.
		if last := time.Unix(0, f.Blocks[n-1].Times[len(f.Blocks[n-1].Times)-1]); last.After(now) {
			return nil, fmt.Errorf("its newest snapshot is of %s, later than now", last.Format(time.RFC3339))
		}
	}
	return &f, nil
}

func (s *Store) fromFile(f *fileStore) {
	for _, fb := range f.Blocks {
		b := block{id: fb.ID, n: len(fb.Times), times: new([blockSlots]int64), thin: fb.Thin}
		copy(b.times[:], fb.Times)
		s.blocks = append(s.blocks, b)
		s.bytes += blockSlots * 8
	}
	// This process begins a block of its own, and its counters began at zero.
	s.nextSlot = (f.NextSlot + blockSlots - 1) / blockSlots * blockSlots
	s.restarts = append(f.Restarts, s.nextSlot)
	for _, fm := range f.Metrics {
		m := s.metric(metricKey{scope: fm.Scope, name: fm.Name, kind: fm.Kind, isInt: fm.IsInt}, fm.Unit)
		for _, fsr := range fm.Series {
			attrs := make([]attribute.KeyValue, len(fsr.Attrs))
			for i, a := range fsr.Attrs {
				attrs[i] = a.attribute()
			}
			sr := &series{attrs: attribute.NewSet(attrs...), bounds: fsr.Bounds, first: fsr.First, fromZero: fsr.FromZero}
			for _, c := range fsr.Chunks {
				sr.chunks = append(sr.chunks, chunk{c.Block, c.Last, c.Data})
				s.bytes += cap(c.Data)
			}
			m.byAttr[sr.attrs.Equivalent()] = sr
			m.all = append(m.all, sr)
			s.series++
			s.bytes += sr.overhead()
		}
	}
}

func toFileAttr(kv attribute.KeyValue) fileAttr {
	a := fileAttr{Key: string(kv.Key), Type: kv.Value.Type()}
	switch a.Type {
	case attribute.BOOL:
		if kv.Value.AsBool() {
			a.Int = 1
		}
	case attribute.INT64:
		a.Int = kv.Value.AsInt64()
	case attribute.FLOAT64:
		a.Real = kv.Value.AsFloat64()
	default:
		a.Type, a.Text = attribute.STRING, kv.Value.String()
	}
	return a
}

func (a fileAttr) attribute() attribute.KeyValue {
	switch a.Type {
	case attribute.BOOL:
		return attribute.Bool(a.Key, a.Int != 0)
	case attribute.INT64:
		return attribute.Int64(a.Key, a.Int)
	case attribute.FLOAT64:
		return attribute.Float64(a.Key, a.Real)
	}
	return attribute.String(a.Key, a.Text)
}
