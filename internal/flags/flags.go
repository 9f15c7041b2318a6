// Package flags reads a command's options by package flag and words its mistakes for whoever typed them: what, where, what is allowed.
package flags

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/otelnet/agent/internal/spelling"
)

// New returns the options of the command, which print nothing by themselves.
func New(command string) *flag.FlagSet {
	fs := flag.NewFlagSet(command, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return fs
}

// badValue is how package flag words an option's value that it cannot take.
var badValue = regexp.MustCompile(`(?s)^invalid (?:boolean )?value (".*") for (?:flag )?(-\S+?): (.*)$`)

// Parse reads the options. Its error is of one line and begins with the option; it is flag.ErrHelp where help was asked for.
func Parse(fs *flag.FlagSet, args []string) error {
	err := fs.Parse(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		text = "there is no option " + name + meant(fs, name)
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
	return errors.New(text)
}

// meant names the option that a misspelt one may have been. One or two letters resemble too much.
func meant(fs *flag.FlagSet, name string) string {
	name = strings.TrimLeft(name, "-")
	if len(name) < 3 {
		return ""
	}
	var all []string
	fs.VisitAll(func(f *flag.Flag) { all = append(all, f.Name) })
	if near := spelling.Nearest(name, all); near != "" {
		return ", did you mean -" + near + "?"
	}
	return ""
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
