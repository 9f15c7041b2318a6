package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

const (
	rulesUsage = `  otelnet rules check FILE...
  otelnet rules test FILE...
  otelnet rules replay FILE -from RECORDED.jsonl
`
	topUsage = `  otelnet top [-sort COLUMN] [-filter TEXT] [-state STATE] [-rows N] [-every 2s] [URL]
`
	reportUsage = `  otelnet report -from agent=URL|prometheus=URL|influxdb=URL [-range 1h] [-until TIME] [-format text|html|json|csv] [-o FILE]
                 [-service NAME] [-instance ID] [-select ATTRIBUTE=VALUE] [-metric NAME] [-header 'NAME: VALUE'] [-timeout 30s] [-partial]
`
)

// usageError is a mistake on the command line: what is wrong, where, and what is allowed.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// help writes how one command is used, or all of them.
func help(names []string, stdout io.Writer) error {
	about := commands()
	if len(names) > 0 {
		c, err := find(names[0])
		if err != nil {
			return err
		}
		about = []command{c}
	}
	text := "usage:\n"
	for _, c := range about {
		text += c.usage
	}
	_, err := io.WriteString(stdout, text)
	return err
}

// hint is where help is found on the command that was meant.
func hint(args []string) string {
	if len(args) > 0 {
		if c, err := find(args[0]); err == nil {
			return fmt.Sprintf("otelnet help %s shows how it is used", c.name)
		}
	}
	return "otelnet help shows the commands"
}

func isHelp(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }

// newFlags returns the options of a command, which says itself what is wrong with them.
func newFlags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// badValue is how package flag words an option's value that it cannot take.
var badValue = regexp.MustCompile(`(?s)^invalid (?:boolean )?value (".*") for (?:flag )?(-\S+?): (.*)$`)

// parseFlags reads the options. Its errors are usageErrors in the words of this tool, and flag.ErrHelp.
func parseFlags(fs *flag.FlagSet, args []string) error {
	err := fs.Parse(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		text = "there is no option " + name
	} else if name, ok := strings.CutPrefix(text, "flag needs an argument: "); ok {
		text = name + " needs a value"
	} else if m := badValue.FindStringSubmatch(text); m != nil {
		why := m[3]
		switch {
		case strings.HasPrefix(text, "invalid boolean"):
			why = "want true or false"
		case why == "parse error":
			why = "want " + allowedValue(fs.Lookup(m[2][1:]))
		case why == "value out of range":
			why = "too large a number"
		}
		text = fmt.Sprintf("%s %s: %s", m[2], m[1], why)
	}
	return usageError{fs.Name() + ": " + text}
}

// allowedValue describes what an option takes by the type of its value.
func allowedValue(f *flag.Flag) string {
	if getter, ok := f.Value.(flag.Getter); ok {
		if _, ok := getter.Get().(time.Duration); ok {
			return "a duration such as 2s or 1m"
		}
	}
	return "a whole number"
}
