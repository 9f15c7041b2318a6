package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/otelnet/agent/alertproc"
)

func TestIntroduction(t *testing.T) {
	full := scene{http: "h:1", https: "h:2", echo: "h:3", page: "http://h:4/", load: 50, incident: 30 * time.Second}
	tests := []struct {
		name      string
		change    func(*scene)
		want, not []string
	}{
		{
			"everything", func(*scene) {},
			[]string{
				"page      http://h:4/\n", "http://h:1/api/data", "https://h:2/", "h:3 over TCP and UDP",
				"curl http://h:4/api/v1/alerts", "go tool pprof", "calls itself 50 times a second", "incident begins in 30s",
			},
			[]string{"Bearer"},
		},
		{
			"with a token", func(s *scene) { s.token = true },
			[]string{`curl -H "Authorization: Bearer $OTELNET_ADMIN_TOKEN" http://h:4/api/v1/alerts`, "curl http://h:1/api/users"},
			[]string{"go tool pprof"},
		},
		{
			"over TLS", func(s *scene) { s.page = "https://h:4/" },
			[]string{"curl -k https://h:4/api/v1/alerts", "'https+insecure://h:4/debug/pprof/"},
			[]string{"http://h:4/"},
		},
		{
			"the service alone", func(s *scene) { *s = scene{http: "h:1", incident: -1} },
			[]string{"http://h:1/api/data", "waits for your requests"},
			[]string{"page", "HTTP/2", "echo", "pprof", "incident"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := full
			test.change(&s)
			var out bytes.Buffer
			newConsole(&out, &out, false).introduce(s)
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("want %q in:\n%s", want, out.String())
				}
			}
			for _, not := range test.not {
				if strings.Contains(out.String(), not) {
					t.Errorf("want no %q in:\n%s", not, out.String())
				}
			}
		})
	}
}

func TestAlertLines(t *testing.T) {
	var out bytes.Buffer
	c := newConsole(&out, &out, false)
	at := func(s int) time.Time { return c.start.Add(time.Duration(s) * time.Second) }
	plain := alertproc.Alert{Rule: "Slow", FiredAt: at(35)}
	told := plain
	told.Annotations = map[string]string{"summary": "it is slow"}
	err := c.Notify(t.Context(), []alertproc.Transition{
		{At: at(31), From: alertproc.StateInactive, To: alertproc.StatePending, Reason: "value 2 above 1", Alert: plain},
		{At: at(35), From: alertproc.StatePending, To: alertproc.StateFiring, Reason: "value 2 above 1", Alert: told},
		{At: at(70), From: alertproc.StateFiring, To: alertproc.StateInactive, Reason: "recovered", Alert: told},
		{At: at(71), From: alertproc.StatePending, To: alertproc.StateInactive, Reason: "recovered", Alert: plain},
	})
	if err != nil {
		t.Errorf("Notify: %v", err)
	}
	want := "00:31  Slow            pending   value 2 above 1\n" +
		"00:35  Slow            firing    it is slow\n" +
		"01:10  Slow            resolved  after 35s: recovered\n" +
		"01:11  Slow            over      recovered\n"
	if got := out.String(); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestServerLogDropsBrokenHandshakes(t *testing.T) {
	var errs bytes.Buffer
	l := newConsole(&bytes.Buffer{}, &errs, false).serverLog()
	l.Print("http: TLS handshake error from 127.0.0.1:1: EOF")
	if errs.Len() > 0 {
		t.Errorf("got %q, want nothing", errs.String())
	}
	l.Print("http: panic serving 127.0.0.1:1: boom")
	if !strings.Contains(errs.String(), "boom") {
		t.Errorf("got %q, want the panic", errs.String())
	}
}
