package spool

import (
	"io"
	"os"
)

// file is what a segment needs of one.
type file interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// openFile opens a segment. Tests put faulty files in its place.
type openFile func(name string, flag int) (file, error)

func osOpen(name string, flag int) (file, error) {
	f, err := os.OpenFile(name, flag, 0o600) // requests may tell what is nobody else's business
	if err != nil {
		return nil, err // not a *os.File that is nil
	}
	return f, nil
}
