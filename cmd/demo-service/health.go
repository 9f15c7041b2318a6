package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const healthURL = "http://127.0.0.1:8080/api/health"

// health is the sub-command of that name: exit status 0 if the URL answers 200 within two seconds. A container without
// a shell or curl can check itself with it.
func health(ctx context.Context, args []string, stderr io.Writer) int {
	if len(args) > 1 || len(args) == 1 && strings.HasPrefix(args[0], "-") {
		fmt.Fprintf(stderr, "Usage: demo-service health [URL]\n\nThe default URL is %s.\n", healthURL)
		return 2
	}
	url := healthURL
	if len(args) == 1 {
		url = args[0]
	}
	if err := askHealth(ctx, url); err != nil {
		fmt.Fprintln(stderr, "demo-service: health:", oneLine(err))
		return 1
	}
	return 0
}

func askHealth(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	// One request on a connection of its own: a proxy from the environment has no say in it, and nothing is left open.
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s, want 200", url, resp.Status)
	}
	return nil
}
