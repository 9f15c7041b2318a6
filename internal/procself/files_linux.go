package procself

import (
	"bytes"
	"encoding/binary"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const none = -1

type files struct {
	statm, fds int // none if not open
	pageSize   int64
	answer     unix.Stat_t
	buf        [4096]byte
}

func (f *files) open() {
	f.statm = open("/proc/self/statm", unix.O_RDONLY)
	f.fds = open("/proc/self/fd", unix.O_RDONLY|unix.O_DIRECTORY)
	f.pageSize = int64(os.Getpagesize())
}

func open(name string, flags int) int {
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return none
	}
	return fd
}

func (f *files) close() {
	for _, fd := range []*int{&f.statm, &f.fds} {
		if *fd != none {
			unix.Close(*fd)
		}
		*fd = none
	}
}

func (f *files) resident() (int64, bool) {
	if f.statm == none {
		return 0, false
	}
	n, err := unix.Pread(f.statm, f.buf[:], 0)
	if err != nil {
		return 0, false
	}
	_, rest, _ := bytes.Cut(f.buf[:n], []byte{' '})
	pages, _, ok := bytes.Cut(rest, []byte{' '})
	if !ok {
		return 0, false
	}
	count, err := strconv.ParseInt(string(pages), 10, 64)
	return count * f.pageSize, err == nil
}

func (f *files) count() (int64, bool) {
	if f.fds == none || unix.Fstat(f.fds, &f.answer) != nil {
		return 0, false
	}
	// At least f.fds itself is open: a size of 0 is that of a kernel before 6.2.
	if f.answer.Size > 0 {
		return f.answer.Size, true
	}
	return f.entries()
}

// entries counts the directory's records without the names, which nobody needs.
func (f *files) entries() (int64, bool) {
	const (
		lengthAt = 16 // of d_reclen in struct linux_dirent64
		dots     = 2  // "." and ".."
	)
	if _, err := unix.Seek(f.fds, 0, 0); err != nil {
		return 0, false
	}
	var records int64
	for {
		n, err := unix.Getdents(f.fds, f.buf[:])
		if err != nil {
			return 0, false
		}
		if n == 0 {
			return records - dots, records > dots
		}
		for rest := f.buf[:n]; len(rest) > lengthAt+1; records++ {
			length := int(binary.NativeEndian.Uint16(rest[lengthAt:]))
			if length <= lengthAt || length > len(rest) {
				return 0, false
			}
			rest = rest[length:]
		}
	}
}
