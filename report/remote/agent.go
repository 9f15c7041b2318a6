package remote

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/otelnet/agent/report"
)

// Agent asks a running agent for its report: it alone has the samples, and works the numbers out where they are. Of opt, Service,
// Instance and Select do not matter: an agent is one process.
func Agent(ctx context.Context, opt Options, want report.Options) (*report.Report, error) {
	c, err := newClient("agent", "the page of an agent", opt)
	if err != nil {
		return nil, err
	}
	c.fail = said
	query := url.Values{"format": {string(report.JSON)}, "metric": want.Metrics}
	if want.Range != 0 {
		query.Set("range", want.Range.String())
	}
	if !want.Until.IsZero() {
		query.Set("until", want.Until.UTC().Format(time.RFC3339Nano))
	}
	body, err := c.get(ctx, "report", query)
	if err != nil {
		return nil, err
	}
	var r report.Report
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, c.errorf("the answer for report is not a report: is this %s?", c.what)
	}
	if err := r.Check(); err != nil {
		return nil, c.errorf("%w", err)
	}
	r.Source = c.String()
	for i := range r.Alerts {
		for j := range r.Alerts[i].Captures {
			if l := &r.Alerts[i].Captures[j]; strings.HasPrefix(l.URL, "/") {
				u := *c.base
				u.User, u.RawQuery = nil, ""
				l.URL = strings.TrimSuffix(u.String(), "/") + l.URL
			}
		}
	}
	return &r, nil
}
