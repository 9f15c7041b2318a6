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
	"flag"
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
	name  string
	usage string // its lines of the help
	run   func(args []string, stdout io.Writer) error
}

func commands() []command {
	return []command{
		{"rules", rulesUsage, rules},
		{"top", topUsage, top},
		{"report", reportUsage, makeReport},
	}
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	err := dispatch(args, stdout)
	var wrong usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "otelnet: %s\n%s\n", wrong.text, hint(args))
		return exitUsage
	default:
		fmt.Fprintln(stderr, strings.TrimPrefix(err.Error(), "alertproc: "))
		return exitError
	}
}

func dispatch(args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return usageError{"a command is missing: want " + commandNames()}
	}
	name, rest := args[0], args[1:]
	if isHelp(name) || name == "help" {
		return help(rest, stdout)
	}
	c, err := find(name)
	if err != nil {
		return err
	}
	if err = c.run(rest, stdout); errors.Is(err, flag.ErrHelp) {
		return help([]string{name}, stdout)
	}
	return err
}

func find(name string) (command, error) {
	for _, c := range commands() {
		if c.name == name {
			return c, nil
		}
	}
	return command{}, usageError{fmt.Sprintf("there is no command %q: want %s", name, commandNames())}
}

func commandNames() string {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}
