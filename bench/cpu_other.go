//go:build !unix

package main

import (
	"math"
	"time"
)

var begun = time.Now()

// processTime is the time on the wall where the process's own is not known: run the benchmark on a machine that does
// nothing else.
func processTime() time.Duration { return time.Since(begun) }

func raiseFileLimit() (uint64, error) { return math.MaxUint64, nil }
