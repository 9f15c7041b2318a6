package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// influxConfig keeps InfluxDB to one loopback port for HTTP, one for its backups, and directories below the test's own.
const influxConfig = `reporting-disabled = true
bind-address = %q
[meta]
  dir = %q
[data]
  dir = %q
  wal-dir = %q
[http]
  bind-address = %q
  log-enabled = false
  auth-enabled = %t
[monitor]
  store-enabled = false
[continuous_queries]
  log-enabled = false
`

// InfluxDB is a real InfluxDB 1.x with a database named otel.
type InfluxDB struct {
	URL     string
	command Command
	process *Process

	user, password string // "" where it asks for none
}

// StartInfluxDB starts it with an empty store below dir and makes the database.
func StartInfluxDB(tb testing.TB, dir string) *InfluxDB {
	tb.Helper()
	return StartInfluxDBFor(tb, dir, "", "")
}

// StartInfluxDBFor is StartInfluxDB, but lets only this user in.
func StartInfluxDBFor(tb testing.TB, dir, user, password string) *InfluxDB {
	tb.Helper()
	addr := FreeAddr(tb)
	config := filepath.Join(dir, "influxdb.conf")
	data := filepath.Join(dir, "influxdb")
	text := fmt.Sprintf(influxConfig, FreeAddr(tb), filepath.Join(data, "meta"), filepath.Join(data, "data"), filepath.Join(data, "wal"), addr, user != "")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
	db := &InfluxDB{
		URL: "http://" + addr,
		command: Command{
			Name: "influxdb",
			Path: Program(tb, "influxd", "influxdb"),
			Args: []string{"-config", config},
			Dir:  dir,
		},
	}
	db.Start(tb)
	if user != "" { // the first one may be made by anybody
		create := fmt.Sprintf("CREATE USER %q WITH PASSWORD '%s' WITH ALL PRIVILEGES", user, password)
		if _, err := db.query(tb.Context(), http.MethodPost, create); err != nil {
			tb.Fatal(err)
		}
		db.user, db.password = user, password
	}
	if _, err := db.query(tb.Context(), http.MethodPost, "CREATE DATABASE otel"); err != nil {
		tb.Fatal(err)
	}
	return db
}

// Start starts it again, at the same address and with what it had stored.
func (db *InfluxDB) Start(tb testing.TB) {
	tb.Helper()
	db.process = Start(tb, db.command)
	Until(tb, 30*time.Second, "influxdb ready", func(ctx context.Context) error {
		if err := db.process.alive(); err != nil {
			tb.Fatal(err)
		}
		_, err := Get(ctx, http.DefaultClient, db.URL+"/query?q=SHOW+DATABASES")
		if err != nil && strings.Contains(err.Error(), ": 40") {
			return nil // it is there and wants to know who asks
		}
		return err
	})
}

// Stop ends it in good order.
func (db *InfluxDB) Stop(tb testing.TB) {
	tb.Helper()
	db.process.Stop(tb)
}

// Series is one group of a query's answer: its tags, and the one row that the query selected.
type Series struct {
	Name    string
	Tags    map[string]string
	Columns map[string]float64 // numeric columns by name; time is left out
}

// Query evaluates an InfluxQL SELECT that yields one row for each group.
func (db *InfluxDB) Query(ctx context.Context, q string) ([]Series, error) {
	return db.query(ctx, http.MethodGet, q)
}

func (db *InfluxDB) query(ctx context.Context, method, q string) ([]Series, error) {
	target := db.URL + "/query?db=otel&epoch=ns&q=" + url.QueryEscape(q)
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return nil, err
	}
	if db.user != "" {
		req.SetBasicAuth(db.user, db.password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Results []struct {
			Error  string
			Series []struct {
				Name    string
				Tags    map[string]string
				Columns []string
				Values  [][]any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("influxdb: %s: %s: %w", q, resp.Status, err)
	}
	var series []Series
	for _, result := range answer.Results {
		if result.Error != "" {
			return nil, fmt.Errorf("influxdb: %s: %s", q, result.Error)
		}
		for _, s := range result.Series {
			if len(s.Values) != 1 {
				return nil, fmt.Errorf("influxdb: %s: %d rows in a group, want 1", q, len(s.Values))
			}
			row := Series{Name: s.Name, Tags: s.Tags, Columns: make(map[string]float64)}
			for i, column := range s.Columns {
				if value, ok := s.Values[0][i].(float64); ok && column != "time" {
					row.Columns[column] = value
				}
			}
			series = append(series, row)
		}
	}
	return series, nil
}

// SumLast adds up the last value of a field over all series of a measurement, by the value of one tag.
func (db *InfluxDB) SumLast(ctx context.Context, measurement, field, tag string) (map[string]float64, error) {
	rows, err := db.Query(ctx, fmt.Sprintf(`SELECT last(%q) FROM %q GROUP BY *`, field, measurement))
	if err != nil {
		return nil, err
	}
	sums := make(map[string]float64)
	for _, row := range rows {
		sums[row.Tags[tag]] += row.Columns["last"]
	}
	return sums, nil
}
