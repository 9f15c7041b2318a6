package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/otelnet/agent/internal/flags"
)

// When an incident is staged. Beside these, -incident takes the name of one, to come as with auto.
const (
	incidentAuto = "auto" // after timing.incidentAfter
	incidentOff  = "off"
	incidentNow  = "now"
)

// maxLoad is what the generator's workers can keep up with on a small machine.
const maxLoad = 5000

// settings is what the flags say.
type settings struct {
	addr     string
	tlsAddr  string // "": no HTTPS port
	echoAddr string // "": no echo ports
	admin    string // "": no page
	rules    string // a file; "": the embedded rules
	incident string
	captures string // a directory; "": one of the demo's own, removed at the end
	load     int    // requests/s
	duration time.Duration
	json     bool

	// Nobody chose these ports: where one is taken, any other will do.
	anyTLS, anyEcho bool
}

// parseFlags reads the options. Where help is asked for, it writes that to stdout and returns flag.ErrHelp.
func parseFlags(args []string, stdout io.Writer) (settings, error) {
	s := settings{incident: incidentAuto}
	fs := flags.New("demo-service")
	fs.StringVar(&s.addr, "addr", "127.0.0.1:8080", "serve HTTP on `host:port`")
	fs.StringVar(&s.tlsAddr, "tls", "127.0.0.1:8443", "serve HTTPS with HTTP/2 on `host:port`, with a certificate made at the start; \"\" for none")
	fs.StringVar(&s.echoAddr, "echo", "127.0.0.1:8081", "echo TCP and UDP on `host:port`; \"\" for none")
	fs.StringVar(&s.admin, "admin", cmp.Or(os.Getenv("OTELNET_ADMIN_ADDR"), "127.0.0.1:6060"), "serve the live page on `host:port`; \"\" for none")
	fs.StringVar(&s.rules, "rules", os.Getenv("OTELNET_RULES"), "read alert rules from `file` instead of the built-in ones")
	fs.IntVar(&s.load, "load", 50, "generate this many `requests` per second; 0 for none")
	fs.DurationVar(&s.duration, "for", 0, "end after this `duration`, such as 90s; 0 for never")
	fs.Func("incident", "stage an incident: `what` is auto (a lost cache, after half a minute), now (the same at once), off, or after half a minute "+
		listed(incidentNames())+" (default auto)",
		oneOf(&s.incident, append([]string{incidentAuto, incidentOff, incidentNow}, incidentNames()...)...))
	fs.StringVar(&s.captures, "captures", os.Getenv("OTELNET_CAPTURE_DIR"), "keep captures in this `directory`; without it they are kept until the program ends")
	format := "text"
	fs.Func("log", "print in this `format`: text or json (default text)", oneOf(&format, "text", "json"))
	if err := flags.Parse(fs, args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, "Usage: demo-service [flags]\n       demo-service health [URL]\n\nFlags:\n")
		fs.SetOutput(stdout)
		fs.PrintDefaults()
		return settings{}, err
	} else if err != nil {
		return settings{}, err
	}
	s.json = format == "json"
	s.anyTLS, s.anyEcho = true, true
	fs.Visit(func(f *flag.Flag) {
		s.anyTLS = s.anyTLS && f.Name != "tls"
		s.anyEcho = s.anyEcho && f.Name != "echo"
	})
	return s, s.check(fs.Args())
}

func (s settings) check(args []string) error {
	switch {
	case len(args) > 0:
		return fmt.Errorf("unexpected argument %q", args[0])
	case s.addr == "":
		return errors.New("-addr is empty, want host:port")
	case s.load < 0 || s.load > maxLoad:
		return fmt.Errorf("-load %d: want 0 to %d", s.load, maxLoad)
	case s.duration < 0:
		return fmt.Errorf("-for %v: want a duration that is not negative", s.duration)
	}
	return nil
}

// oneOf sets dst if the flag's value is one of allowed.
func oneOf(dst *string, allowed ...string) func(string) error {
	return func(v string) error {
		if !slices.Contains(allowed, v) {
			return errors.New("want " + strings.Join(allowed, ", "))
		}
		*dst = v
		return nil
	}
}
