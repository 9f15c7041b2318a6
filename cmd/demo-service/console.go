package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/otelnet/agent/alertproc"
)

// console is what the demo prints: a short introduction, and a line when something changes. Its methods are safe for
// concurrent use.
type console struct {
	logger *slog.Logger // for the agent's own lines
	json   bool

	mu    sync.Mutex
	out   io.Writer
	start time.Time
}

// newConsole prints text for people on out. In JSON everything is a record of its own, the agent's lines too.
func newConsole(out, errs io.Writer, json bool) *console {
	c := &console{out: out, json: json, start: time.Now()}
	if json {
		c.logger = slog.New(slog.NewJSONHandler(out, nil))
	} else {
		c.logger = slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	return c
}

// scene is where everything is, for the introduction.
type scene struct {
	http, https, echo string // addresses; "" for none
	page              string // the admin URL; "" for none
	token             bool   // the page asks for one
	load              int
	incident          time.Duration // from now; negative for never
	captures          string        // where they stay; "" if they go with the demo
}

// introduce says what runs where and what to try.
func (c *console) introduce(s scene) {
	if c.json {
		c.logger.Info("demo-service started", "http", s.http, "https", s.https, "echo", s.echo, "page", s.page,
			"load", s.load, "incident_in", s.incident.String())
		return
	}
	var b strings.Builder
	b.WriteString("demo-service: a small shop, observed by the agent inside it.\n\n")
	row := func(label, text string) { fmt.Fprintf(&b, "  %-9s %s\n", label, text) }
	curl := "curl "
	if s.token {
		curl += `-H "Authorization: Bearer $OTELNET_ADMIN_TOKEN" `
	}
	pprof := s.page
	if rest, ok := strings.CutPrefix(s.page, "https://"); ok { // the certificate may well be of the user's own making
		curl += "-k "
		pprof = "https+insecure://" + rest
	}
	if s.page != "" {
		row("page", s.page)
	}
	row("service", "http://"+s.http+"/api/data")
	if s.https != "" {
		row("HTTP/2", "https://"+s.https+"/api/data (curl -k)")
	}
	if s.echo != "" {
		row("echo", s.echo+" over TCP and UDP")
	}
	row("try", "curl http://"+s.http+"/api/users")
	if s.page != "" {
		row("", curl+s.page+"api/v1/alerts")
		row("", curl+"'"+s.page+"api/connections?limit=5&sort=-sentBytes'")
	}
	if s.page != "" && !s.token { // go tool pprof has no way to send one
		row("", "go tool pprof -top '"+pprof+"debug/pprof/profile?seconds=5'")
	}
	b.WriteString("\n  ")
	if s.load > 0 {
		fmt.Fprintf(&b, "It calls itself %d times a second. ", s.load)
	} else {
		b.WriteString("It waits for your requests. ")
	}
	if s.incident >= 0 {
		fmt.Fprintf(&b, "An incident begins in %s. ", s.incident.Round(time.Second))
	}
	b.WriteString("Ctrl-C ends it.")
	if s.captures != "" {
		b.WriteString(" Captures stay in " + s.captures + ".\n\n")
	} else {
		b.WriteString("\n  What alerts capture goes with it; -captures DIR keeps it.\n\n")
	}
	c.write(b.String())
}

// event prints one line with the time since the start.
func (c *console) event(text string, args ...any) {
	if c.json {
		c.logger.Info(text, args...)
		return
	}
	c.write(c.clock(time.Now()) + "  " + text + "\n")
}

// Notify prints the transitions of alerts; it makes the console a receiver of alertproc's.
func (c *console) Notify(_ context.Context, changes []alertproc.Transition) error {
	for _, t := range changes {
		word, text := describe(t)
		if c.json {
			c.logger.Info("alert "+word, "alert", t.Alert.Rule, "severity", t.Alert.Severity, "value", t.Alert.Value, "reason", text,
				"capture", t.Alert.Evidence.String())
			continue
		}
		c.write(fmt.Sprintf("%s  %-15s %-9s %s\n", c.clock(t.At), t.Alert.Rule, word, text))
		if where := t.Alert.Evidence.String(); where != "" && t.To == alertproc.StateFiring {
			c.write(fmt.Sprintf("%s  %-15s %-9s %s\n", c.clock(t.At), t.Alert.Rule, "evidence", where))
		}
	}
	return nil
}

// describe puts a transition into a word and a reason.
func describe(t alertproc.Transition) (word, text string) {
	if t.To != alertproc.StateInactive {
		text = t.Alert.Annotations["summary"]
		if text == "" {
			text = t.Reason
		}
		return t.To.String(), text
	}
	if t.From == alertproc.StateFiring {
		return "resolved", fmt.Sprintf("after %s: %s", t.At.Sub(t.Alert.FiredAt).Round(time.Second), t.Reason)
	}
	return "over", t.Reason
}

// serverLog is for package net/http. It passes on all but broken handshakes, which the load makes on purpose.
func (c *console) serverLog() *log.Logger {
	return log.New(writerFunc(func(p []byte) (int, error) {
		if !bytes.HasPrefix(p, []byte("http: TLS handshake error")) {
			c.logger.Error(strings.TrimSpace(string(p)))
		}
		return len(p), nil
	}), "", 0)
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// clock is a stopwatch's mm:ss.
func (c *console) clock(at time.Time) string {
	d := max(0, at.Sub(c.start)).Truncate(time.Second)
	return fmt.Sprintf("%02d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

func (c *console) write(s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	io.WriteString(c.out, s)
}
