package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// An InfluxDB that asks for a password gets it from the Collector and from the tool; without the right one both say so, and a report is
// none.
func TestInfluxDBWithPassword(t *testing.T) {
	dir := stack.Dir(t)
	const user, password = "writer", "p4ss/wörd"
	influx := stack.StartInfluxDBFor(t, dir, user, password)
	nowhere := "http://" + stack.FreeAddr(t)
	collector := stack.StartCollector(t, dir, nowhere, influx.URL, "INFLUXDB_USERNAME="+user, "INFLUXDB_PASSWORD="+password)
	demo := stack.StartDemo(t, dir, stack.DemoConfig{OTLPEndpoint: collector.GRPCEndpoint})
	stack.Send(t, demo.Client, demo.URL+"/api/data", 20)
	stack.Until(t, 30*time.Second, "three exports in InfluxDB", func(ctx context.Context) error {
		rows, err := influx.Query(ctx, `SELECT count("gauge") FROM "go.goroutine.count"`)
		if err != nil || len(rows) != 1 || rows[0].Columns["count"] < 3 {
			return fmt.Errorf("%v, %w", rows, err)
		}
		return nil
	})

	from := func(user, password string) string {
		u, err := url.Parse(influx.URL)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			u.User = url.UserPassword(user, password)
		}
		return "influxdb=" + u.String()
	}
	stdout, stderr, status := otelnetReport(t, "-from", from(user, password), "-range", "10m", "-format", "csv", "-partial")
	if status != 0 || !strings.Contains(stdout, "go.goroutine.count") {
		t.Errorf("with the password: status %d, %s\n%s", status, stderr, stdout)
	}
	for _, wrong := range []string{from("", ""), from(user, "other"), from("nobody", password)} {
		stdout, stderr, status := otelnetReport(t, "-from", wrong, "-range", "10m")
		if status != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, ": 401 Unauthorized for query: ") {
			t.Errorf("%s: status %d, stdout %q, stderr %q; want one line that says 401", wrong, status, stdout, stderr)
		}
		if strings.Contains(stderr, "p4ss") || strings.Contains(stderr, ":other") {
			t.Errorf("the password is told: %s", stderr)
		}
	}
	if resp, err := http.Get(influx.URL + "/query?q=SHOW+DATABASES"); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("InfluxDB answers without a password: %v, %v", resp, err)
	}
}
