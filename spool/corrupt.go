package spool

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

const (
	corruptSuffix = ".corrupt"
	keepCorrupt   = 2 // files, so that a bad disk does not fill itself
)

// setAside copies a damaged segment beside itself, for whoever wants to look at it, and removes older such copies.
func setAside(path string) (aside string, err error) {
	aside = path + corruptSuffix
	in, err := os.Open(path)
	if err != nil {
		return aside, err
	}
	defer in.Close()
	out, err := os.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return aside, err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return aside, errors.Join(err, os.Remove(aside))
	}
	all, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"+corruptSuffix)) // sorted, oldest first
	for len(all) > keepCorrupt {
		err = errors.Join(err, os.Remove(all[0]))
		all = all[1:]
	}
	return aside, err
}
