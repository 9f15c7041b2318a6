package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/internal/ruletest"
	"github.com/otelnet/agent/otelnet"
	"github.com/otelnet/agent/runtimemetrics"
)

func rules(args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return usageError{"rules: want check, test or replay"}
	}
	if slices.ContainsFunc(args, isHelp) {
		return flag.ErrHelp
	}
	switch args[0] {
	case "check":
		return eachFile("check", args[1:], stdout, checkRules)
	case "test":
		return eachFile("test", args[1:], stdout, testRules)
	case "replay":
		return replayRules(args[1:], stdout)
	default:
		return usageError{fmt.Sprintf("rules: there is no %q; want check, test or replay", args[0])}
	}
}

// eachFile does something with every file, and joins what went wrong.
func eachFile(name string, files []string, stdout io.Writer, do func(path string, stdout io.Writer) error) error {
	if len(files) == 0 {
		return usageError{"rules " + name + ": name a file"}
	}
	var errs []error
	for _, path := range files {
		if strings.HasPrefix(path, "-") {
			return usageError{fmt.Sprintf("rules %s: there is no option %s", name, path)}
		}
	}
	for _, path := range files {
		errs = append(errs, do(path, stdout))
	}
	return errors.Join(errs...)
}

func checkRules(path string, stdout io.Writer) error {
	cfg, err := alertproc.LoadFile(path)
	if err != nil {
		return err
	}
	n := 0
	for _, g := range cfg.Groups {
		n += len(g.Rules)
	}
	fmt.Fprintf(stdout, "%s: %s in %s, good\n", path, count(n, "rule"), count(len(cfg.Groups), "group"))
	cfg.Known = slices.Concat(otelnet.MetricNames(), runtimemetrics.MetricNames())
	for _, w := range alertproc.Unknown(cfg) {
		fmt.Fprintf(stdout, "%s (right if the service records it itself)\n", w)
	}
	return nil
}

func testRules(path string, stdout io.Writer) error {
	n, err := ruletest.Run(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s: %s passed\n", path, count(n, "test"))
	return nil
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// replayRules takes its option before or after the file.
func replayRules(args []string, stdout io.Writer) error {
	var file, from string
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		value, given := strings.CutPrefix(strings.TrimPrefix(arg, "-"), "-from=")
		if !given {
			value, given = strings.CutPrefix(arg, "-from=")
		}
		switch {
		case given:
			from = value
		case arg == "-from" || arg == "--from":
			if len(args) == 0 {
				return usageError{"rules replay: -from names a recording"}
			}
			from, args = args[0], args[1:]
		case strings.HasPrefix(arg, "-"):
			return usageError{fmt.Sprintf("rules replay: there is no option %s", arg)}
		case file != "":
			return usageError{"rules replay: name one file of rules"}
		default:
			file = arg
		}
	}
	if file == "" || from == "" {
		return usageError{"rules replay: name a file of rules, and a recording with -from"}
	}
	cfg, err := alertproc.LoadFile(file)
	if err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	changes, err := alertproc.Replay(cfg, in)
	for _, t := range changes {
		printChange(stdout, t)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	fmt.Fprintln(stdout, count(len(changes), "change"))
	return nil
}

func printChange(w io.Writer, t alertproc.Transition) {
	to := t.To.String()
	if t.To == alertproc.StateFiring {
		to += " (" + t.Alert.Severity + ")"
	}
	fmt.Fprintf(w, "%s  %s  %s -> %s  %s  %s\n", t.At.UTC().Format(time.RFC3339), t.Alert.Rule, t.From, to, labels(t.Alert.Labels), t.Reason)
}

// labels writes those that are not told otherwise.
func labels(m map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if k != "alertname" && k != "severity" {
			parts = append(parts, fmt.Sprintf("%s=%q", k, m[k]))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
