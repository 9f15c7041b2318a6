// Package guard turns panics into errors where code of this module, or code that it was given, runs in a goroutine that nobody else
// guards: a service must not end because its numbers could not be taken. It keeps nothing, is safe for concurrent use, and costs a
// deferred call.
package guard

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/metric"
)

// Call returns f's error, or one that says that what panicked.
func Call(what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s panicked: %v", what, p)
		}
	}()
	return f()
}

// Callback guards f: the SDK calls it at each collect, from goroutines of its own too, and reports its errors.
func Callback(what string, f metric.Callback) metric.Callback {
	return func(ctx context.Context, o metric.Observer) error {
		return Call(what, func() error { return f(ctx, o) })
	}
}
