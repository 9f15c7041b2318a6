package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/otelnet/agent/internal/flags"
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

// parseFlags reads the options. Its errors are usageErrors and flag.ErrHelp.
func parseFlags(fs *flag.FlagSet, args []string) error {
	err := flags.Parse(fs, args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	return usageError{fs.Name() + ": " + err.Error()}
}
