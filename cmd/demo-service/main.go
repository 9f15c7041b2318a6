// Command demo-service shows the agent at work. It needs nothing else:
//
//	go run ./cmd/demo-service
//
// It is a small HTTP service with its own load, wrapped the way any service would be, and it stages an incident after
// half a minute: latency and errors rise, alerts go pending, fire, are captured and resolve. What to look at is printed
// as it happens. -incident names other things that can go wrong.
//
//	demo-service [flags]          serve until interrupted, or for -for
//	demo-service health [URL]     exit 0 if the service at URL answers 200, else 1; for container health checks
//
// The environment variables of the agent apply. Nothing is exported unless OTEL_EXPORTER_OTLP_ENDPOINT,
// OTEL_EXPORTER_OTLP_METRICS_ENDPOINT or OTEL_METRICS_EXPORTER is set.
//
// SIGHUP reads the rules file again; with a mistake in it the old rules go on.
//
// Exit status: 0 done, 1 it could not be done (a taken port, a bad rules file), 2 wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the default is back, so a second one ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, schedule))
}

// run is the whole program but for signals; it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, t timing) int {
	if len(args) > 0 && args[0] == "health" {
		return health(ctx, args[1:], stderr)
	}
	s, err := parseFlags(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "demo-service: %v\ndemo-service -h shows the flags\n", err)
		return 2
	}
	if s.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.duration)
		defer cancel()
	}
	err = serve(ctx, s, t, newConsole(stdout, stderr, s.json))
	if err != nil && !(ctx.Err() != nil && errors.Is(err, ctx.Err())) { // told to end while starting is an orderly end
		fmt.Fprintln(stderr, "demo-service:", oneLine(err))
		return 1
	}
	return 0
}

// oneLine keeps the parts of a joined error apart without line breaks.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
}

// timing says when the incident takes place, and how quickly the rules look.
type timing struct {
	incidentAfter time.Duration // from the start to the incident with -incident auto
	incidentFor   time.Duration
	profile       time.Duration // of CPU profiles; 0 for the agent's default
	tick          time.Duration
}

// schedule fits the windows of rules.yaml: all of it happens within 90 seconds.
var schedule = timing{incidentAfter: 30 * time.Second, incidentFor: 25 * time.Second, tick: time.Second}
