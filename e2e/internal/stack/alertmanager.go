package stack

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// Alertmanager is a real one with this repository's configuration.
type Alertmanager struct {
	URL     string
	process *Process
}

// StartAlertmanager starts it with an empty store below dir, alone, without its cluster port.
func StartAlertmanager(tb testing.TB, dir string) *Alertmanager {
	tb.Helper()
	addr := FreeAddr(tb)
	am := &Alertmanager{URL: "http://" + addr}
	am.process = Start(tb, Command{
		Name: "alertmanager",
		Path: Program(tb, "prometheus-alertmanager", "prometheus-alertmanager"),
		Args: []string{
			"--config.file=" + filepath.Join(Root(), "deploy", "alertmanager", "alertmanager.yml"),
			"--storage.path=" + filepath.Join(dir, "alertmanager"),
			"--web.listen-address=" + addr,
			"--cluster.listen-address=",
		},
		Dir: dir,
	})
	am.process.ready(tb, http.DefaultClient, am.URL+"/-/ready")
	return am
}

// Alert is an alert as Alertmanager's API tells it.
type Alert struct {
	Labels      map[string]string
	Annotations map[string]string
	StartsAt    time.Time
	EndsAt      time.Time
	Status      struct{ State string } // active, suppressed or unprocessed
}

// Alerts returns the alerts that are active now; a resolved one is no longer among them.
func (am *Alertmanager) Alerts(ctx context.Context) ([]Alert, error) {
	body, err := Get(ctx, http.DefaultClient, am.URL+"/api/v2/alerts")
	if err != nil {
		return nil, err
	}
	var alerts []Alert
	err = json.Unmarshal(body, &alerts)
	return alerts, err
}
