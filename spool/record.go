package spool

import (
	"bufio"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"io"
	"time"
)

// A segment is a file: the magic, then records without gaps. A record is
//
//	state     1 byte   pending or settled, outside the sum; the only byte that is written again
//	encoding  1 byte   of the request: as it is, or gzip
//	zero      2 bytes
//	length    4 bytes  of the request, little-endian as all numbers here
//	time      8 bytes  when it was made, nanoseconds since 1970
//	sum       4 bytes  CRC-32C of the four fields before and the request
//	request
const (
	magic      = "OTNSPL1\n"
	headerSize = 20

	// maxRequest bounds a request. The exporters refuse more than 64 MiB themselves.
	maxRequest = 64 << 20
)

const (
	statePending byte = 'P'
	stateSettled byte = 'S'
)

// encoding says how a request is kept.
type encoding byte

const (
	plain   encoding = 0
	gzipped encoding = 1
)

// record is one request as it is kept.
type record struct {
	at       time.Time
	encoding encoding
	request  []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord appends r, pending, to b.
func appendRecord(b []byte, r record) []byte {
	var h [headerSize]byte
	h[0] = statePending
	h[1] = byte(r.encoding)
	binary.LittleEndian.PutUint32(h[4:], uint32(len(r.request)))
	binary.LittleEndian.PutUint64(h[8:], uint64(r.at.UnixNano()))
	sum := crc32.Update(crc32.Checksum(h[1:16], castagnoli), castagnoli, r.request)
	binary.LittleEndian.PutUint32(h[16:], sum)
	return append(append(b, h[:]...), r.request...)
}

// header is a record's without its request.
type header struct {
	state    byte
	encoding encoding
	length   int64
	at       time.Time
	sum      uint32
	summed   [15]byte // what the sum covers of it
}

// parseHeader answers false for what appendRecord never writes.
func parseHeader(b *[headerSize]byte) (header, bool) {
	h := header{
		state:    b[0],
		encoding: encoding(b[1]),
		length:   int64(binary.LittleEndian.Uint32(b[4:])),
		at:       time.Unix(0, int64(binary.LittleEndian.Uint64(b[8:]))),
		sum:      binary.LittleEndian.Uint32(b[16:]),
		summed:   [15]byte(b[1:16]),
	}
	ok := (h.state == statePending || h.state == stateSettled) && h.encoding <= gzipped && b[2] == 0 && b[3] == 0 &&
		h.length <= maxRequest
	return h, ok
}

// damage says how a segment ends.
type damage int

const (
	whole   damage = iota
	torn           // in the middle of the last record, as after the death of whoever wrote it
	corrupt        // in a record that is not as it was written, with more behind it
)

// survey is what a segment holds.
type survey struct {
	next    int64 // where the first pending record begins; end if there is none
	end     int64 // where the good records end
	pending int   // records from next on
	damage  damage
}

// read goes over a segment of the given size and checks every record. An error is the reader's own.
func read(r io.ReaderAt, size int64) (survey, error) {
	in := bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 64<<10)
	start := make([]byte, min(size, int64(len(magic))))
	if _, err := io.ReadFull(in, start); err != nil {
		return survey{}, err
	}
	if string(start) != magic {
		s := survey{damage: corrupt}
		if string(start) == magic[:len(start)] || blank(start) {
			s.damage = torn
		}
		return s, nil
	}
	s := survey{next: int64(len(magic)), end: int64(len(magic))}
	sum := crc32.New(castagnoli)
	for s.end < size {
		var raw [headerSize]byte
		if size-s.end < headerSize {
			s.damage = torn
			return s, nil
		}
		if _, err := io.ReadFull(in, raw[:]); err != nil {
			return s, err
		}
		h, ok := parseHeader(&raw)
		if !ok {
			s.damage = corrupt
			rest, err := blankRest(in)
			if err != nil {
				return s, err
			}
			if blank(raw[:]) && rest {
				s.damage = torn // a file that grew before its content reached the disk
			}
			return s, nil
		}
		after := s.end + headerSize + h.length
		if after > size {
			s.damage = torn
			return s, nil
		}
		good, err := h.matches(in, sum)
		if err != nil {
			return s, err
		}
		if !good {
			s.damage = corrupt
			if after == size {
				s.damage = torn
			}
			return s, nil
		}
		// Records are settled in order, so all before the last settled one are.
		s.end = after
		if h.state == stateSettled {
			s.next, s.pending = after, 0
		} else {
			s.pending++
		}
	}
	return s, nil
}

// matches reads the request and compares its sum.
func (h header) matches(in io.Reader, sum hash.Hash32) (bool, error) {
	sum.Reset()
	sum.Write(h.summed[:])
	_, err := io.CopyN(sum, in, h.length)
	return sum.Sum32() == h.sum, err
}

func blank(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func blankRest(in io.Reader) (bool, error) {
	var b [4096]byte
	for {
		n, err := in.Read(b[:])
		switch {
		case !blank(b[:n]):
			return false, nil
		case err == io.EOF:
			return true, nil
		case err != nil:
			return false, err
		}
	}
}

// readRecord reads the record at off of a segment that ends at end; false if it is not as it was written.
func readRecord(r io.ReaderAt, off, end int64) (record, bool, error) {
	var raw [headerSize]byte
	if off+headerSize > end {
		return record{}, false, nil
	}
	if _, err := r.ReadAt(raw[:], off); err != nil {
		return record{}, false, ignoreEOF(err)
	}
	h, ok := parseHeader(&raw)
	if !ok || off+headerSize+h.length > end {
		return record{}, false, nil
	}
	request := make([]byte, h.length)
	if _, err := r.ReadAt(request, off+headerSize); err != nil {
		return record{}, false, ignoreEOF(err)
	}
	sum := crc32.Update(crc32.Checksum(h.summed[:], castagnoli), castagnoli, request)
	return record{at: h.at, encoding: h.encoding, request: request}, sum == h.sum, nil
}

// ignoreEOF makes a file that somebody cut short damage, not an error of the disk.
func ignoreEOF(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}
