//go:build !linux

package otelnet

// awaitFirstByte has nothing to do where every byte of an accepted connection is read by the wrapper.
func (s *ConnStats) awaitFirstByte() {}
