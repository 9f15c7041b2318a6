// Otelnet is the command-line tool of the agent.
//
//	otelnet rules check FILE...                        are these rules good?
//	otelnet rules test FILE...                         do they do what their tests expect?
//	otelnet rules replay FILE -from RECORDED.jsonl     what would they have said to recorded metrics?
//	otelnet top [URL]                                  what is a service's network doing?
//	otelnet report -from agent=URL [-range 1h]         what has it done? Also from Prometheus and InfluxDB
//
// docs/alerting.md has the formats of the rules, docs/api.md the keys of top, docs/report.md what a report says. The exit status is 0
// when it was done, 1 when it could not be done, a check failed or a report is partial, 2 for wrong usage.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// The exit statuses.
const (
	exitDone  = 0
	exitError = 1
	exitUsage = 2
)

// command is one of the tool's.
type command struct {
	name string
	run  func(args []string, stdout io.Writer) error
}

var commands = []command{
	{"rules", rules},
	{"top", top},
	{"report", makeReport},
}

const usage = `usage:
  otelnet rules check FILE...
  otelnet rules test FILE...
  otelnet rules replay FILE -from RECORDED.jsonl
  otelnet top [-sort COLUMN] [-filter TEXT] [-state STATE] [-rows N] [-every 2s] [URL]
  otelnet report -from agent=URL|prometheus=URL|influxdb=URL [-range 1h] [-until TIME] [-format text|html|json|csv] [-o FILE]
                 [-service NAME] [-instance ID] [-select ATTRIBUTE=VALUE] [-metric NAME] [-header 'NAME: VALUE'] [-timeout 30s] [-partial]
`

// usageError is a mistake on the command line.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && (args[0] == "help" || args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
		fmt.Fprint(stdout, usage)
		return exitDone
	}
	err := dispatch(args, stdout)
	var wrong usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "otelnet: %s\n%s", wrong, usage)
		return exitUsage
	default:
		fmt.Fprintln(stderr, strings.TrimPrefix(err.Error(), "alertproc: "))
		return exitError
	}
}

func dispatch(args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return usageError{"a command is missing"}
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.run(args[1:], stdout)
		}
	}
	return usageError{fmt.Sprintf("there is no command %q", args[0])}
}
