//go:build !unix

package main

import "net"

// shortenQueue does nothing: the system does not let the queue's length be changed.
func shortenQueue(net.Listener, int) {}
