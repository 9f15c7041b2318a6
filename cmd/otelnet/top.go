package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/otelnet/agent/internal/flags"
	"github.com/otelnet/agent/otelnet"
)

// defaultURL is where an agent's page is by convention.
const defaultURL = "http://127.0.0.1:6060"

// topSettings is what the command line says.
type topSettings struct {
	base   *url.URL
	filter otelnet.Filter
	every  time.Duration
}

// top watches a service: on a terminal until q is pressed, else once.
func top(args []string, stdout io.Writer) error {
	set, err := parseTop(args)
	if err != nil {
		return err
	}
	transport, err := trusting("top: OTELNET_ADMIN_CERT", os.Getenv("OTELNET_ADMIN_CERT"))
	if err != nil {
		return err
	}
	client := &topClient{base: set.base, token: os.Getenv("OTELNET_ADMIN_TOKEN"), http: http.Client{Transport: transport}}
	ctx := context.Background()
	first, err := client.fetch(ctx, set.filter)
	if err != nil {
		return err
	}
	out, ok := stdout.(*os.File)
	if !ok || !term.IsTerminal(int(out.Fd())) || !term.IsTerminal(int(os.Stdin.Fd())) {
		_, err := io.WriteString(stdout, render(first, screen{filter: set.filter}))
		return err
	}
	return watch(ctx, client, set, first, os.Stdin, out)
}

func parseTop(args []string) (topSettings, error) {
	set := topSettings{}
	fs := flags.New("top")
	sort := fs.String("sort", "-sendRate", "")
	match := fs.String("filter", "", "")
	state := fs.String("state", "open", "")
	rows := fs.Int("rows", 100, "")
	fs.DurationVar(&set.every, "every", 2*time.Second, "")
	if err := parseFlags(fs, args); err != nil {
		return set, err
	}
	if fs.NArg() > 1 {
		return set, usageError{fmt.Sprintf("top: unexpected argument %q", fs.Arg(1))}
	}
	var err error
	if set.filter, err = otelnet.ParseFilter(url.Values{
		"sort": {*sort}, "filter": {*match}, "state": {*state}, "limit": {strconv.Itoa(*rows)},
	}); err != nil {
		return set, usageError{"top: " + err.Error()}
	}
	if *rows < 1 || *rows > 10000 {
		return set, usageError{fmt.Sprintf("top: -rows %d: want 1 to 10000", *rows)}
	}
	if set.every < 200*time.Millisecond || set.every > time.Hour {
		return set, usageError{fmt.Sprintf("top: -every %s: want 200ms to 1h", set.every)}
	}
	text := defaultURL
	if fs.NArg() == 1 {
		text = fs.Arg(0)
	}
	if set.base, err = parseBase(text); err != nil {
		return set, err
	}
	return set, nil
}

// parseBase reads the address of a page; host:port alone is one over HTTP. One that cannot be meant is an error like one that does not
// answer, not of usage.
func parseBase(text string) (*url.URL, error) {
	whole := text
	if !strings.Contains(text, "://") {
		whole = "http://" + text
	}
	u, err := url.Parse(whole)
	if err == nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		err = errors.New("want http://host:port or https://host:port")
	}
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return nil, fmt.Errorf("top: %q is not the address of a page: %w", text, err)
	}
	return u, nil
}
