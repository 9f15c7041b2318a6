package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/otelnet/agent/otelnet"
)

const (
	askTimeout = 5 * time.Second
	maxAnswer  = 16 << 20
	rateWindow = "15s" // at least two snapshots of an agent that nobody else watches
)

// topClient asks the admin server of an agent.
type topClient struct {
	base  *url.URL
	token string
	http  http.Client
}

// sight is all that is shown of a service, taken within a moment.
type sight struct {
	at     time.Time
	status struct {
		Service     struct{ Name, Version, Instance string }
		Go          string
		Started     time.Time
		Connections bool
	}
	requests struct {
		Rate, ErrorShare float64
		P50, P99         *float64
	}
	received, sent float64 // bytes/s
	alerts         []activeAlert
	total          int
	rows           []otelnet.ConnInfo
}

type activeAlert struct {
	Labels      map[string]string
	Annotations map[string]string
	State       string
	ActiveAt    time.Time
}

// fetch asks for everything that is shown. The error names the address and the cause in one line.
func (c *topClient) fetch(ctx context.Context, f otelnet.Filter) (*sight, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s := &sight{at: time.Now()}
	if err := c.get(ctx, "/api/status", nil, &s.status); err != nil {
		return nil, err
	}
	var routes struct{ All json.RawMessage }
	if err := c.get(ctx, "/api/routes", url.Values{"since": {rateWindow}, "limit": {"1"}}, &routes); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(routes.All, &s.requests); err != nil {
		return nil, fmt.Errorf("top: %s/api/routes: %w", c.base.Redacted(), err)
	}
	var alerts struct {
		Data struct{ Alerts []activeAlert }
	}
	if err := c.get(ctx, "/api/v1/alerts", nil, &alerts); err != nil {
		return nil, err
	}
	s.alerts = alerts.Data.Alerts
	if err := c.throughput(ctx, s); err != nil {
		return nil, err
	}
	if !s.status.Connections {
		return s, nil
	}
	table := struct {
		Total       int
		Connections []otelnet.ConnInfo
	}{}
	err := c.get(ctx, "/api/connections", url.Values{
		"sort": {f.Sort}, "state": {f.State}, "filter": {f.Match}, "limit": {strconv.Itoa(f.Limit)}, "offset": {strconv.Itoa(f.Offset)},
	}, &table)
	s.total, s.rows = table.Total, table.Connections
	return s, err
}

// throughput works the bytes a second out of their increases.
func (c *topClient) throughput(ctx context.Context, s *sight) error {
	var h struct {
		Start  *int64
		Times  []int64
		Series []struct {
			Attributes map[string]string
			Values     []*float64
		}
	}
	err := c.get(ctx, "/api/history", url.Values{
		"metric": {"otelnet.connection.io"}, "by": {"network.io.direction"}, "since": {rateWindow}, "step": {"0s"},
	}, &h)
	if err != nil || len(h.Times) == 0 {
		return err
	}
	from := h.Times[0]
	if h.Start != nil {
		from = *h.Start
	}
	seconds := float64(h.Times[len(h.Times)-1]-from) / 1000
	if seconds <= 0 {
		return nil
	}
	for _, series := range h.Series {
		sum := 0.0
		for _, v := range series.Values {
			if v != nil {
				sum += *v
			}
		}
		if series.Attributes["network.io.direction"] == "receive" {
			s.received = sum / seconds
		} else {
			s.sent = sum / seconds
		}
	}
	return nil
}

func (c *topClient) get(ctx context.Context, path string, query url.Values, into any) error {
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	fail := func(err error) error { return fmt.Errorf("top: %s: %w", c.base.Redacted(), err) }
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fail(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // without the address a second time
		}
		return fail(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fail(err)
	}
	if res.StatusCode != http.StatusOK {
		var told struct{ Error string }
		if json.Unmarshal(body, &told) == nil && told.Error != "" {
			return fail(errors.New(told.Error))
		}
		return fail(fmt.Errorf("%s for %s: is this the page of an agent?", res.Status, path))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fail(fmt.Errorf("the answer for %s is not JSON: is this the page of an agent?", path))
	}
	return nil
}
