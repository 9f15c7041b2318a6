// Package filelock takes files so that two processes do not use one thing at the same time.
package filelock
