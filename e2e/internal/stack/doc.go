// Package stack starts the programs an end-to-end test needs, each on free loopback ports and with its own directory, waits
// until they answer, and ends them with the test.
package stack
