//go:build !unix

package main

import "os"

// resizes never tells: there is no such signal here, and each refresh asks for the size anyway.
func resizes() (resized <-chan os.Signal, stop func()) { return nil, func() {} }
