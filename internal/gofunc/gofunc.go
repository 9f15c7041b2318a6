// Package gofunc tells functions of a program's own code from those of libraries, by their full names as profiles and traces have
// them.
package gofunc

import "strings"

// instrumentation stands between a program's code and the standard library, and is what nobody looks for.
const instrumentation = "github.com/otelnet/agent/otelnet."

// Own tells whether a function is neither of the standard library nor of this module's instrumentation.
func Own(function string) bool {
	if strings.HasPrefix(function, instrumentation) || strings.HasPrefix(function, "type:") { // the compiler makes those
		return false
	}
	// By the first element of the import path, for module paths need not have a dot.
	i := strings.IndexAny(function, "/.")
	if i < 0 {
		return false // the runtime's assembly
	}
	root := function[:i]
	return !library[root] || root == "go" && function[i] == '.' // there is go/ast, but no package go
}

// Plumbing tells functions of the standard library that say little about what is going on: the runtime, locks, sockets, buffers.
func Plumbing(function string) bool {
	for _, prefix := range []string{
		"runtime.", "internal/", "sync.", "syscall.", "net.", "os.", "io.", "bufio.", "time.", "context.", "crypto/tls.", "strings.", "bytes.",
		"vendor/", instrumentation,
	} {
		if strings.HasPrefix(function, prefix) {
			return true
		}
	}
	return false
}

var library = func() map[string]bool {
	roots := make(map[string]bool)
	for root := range strings.FieldsSeq(`archive bufio bytes cmp compress container context crypto database debug embed encoding errors
		expvar flag fmt go hash html image index internal io iter log maps math mime net os path plugin reflect regexp runtime simd slices
		sort strconv strings structs sync syscall testing text time type unicode unique unsafe vendor weak`) {
		roots[root] = true
	}
	return roots
}()
