//go:build !race

package otelnet

// raceDetector tells whether the test runs some ten times slower than without.
const raceDetector = false
