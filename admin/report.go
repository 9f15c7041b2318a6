package admin

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/capture"
	"github.com/otelnet/agent/report"
)

// writeReport answers /report. One report is made at a time: the next waits, so that many of them cost the service no more than one.
func (s *Server) writeReport(w http.ResponseWriter, r *http.Request) {
	format, opt, err := parseReport(r.URL.Query(), time.Now())
	if err != nil {
		badParameter(w, err)
		return
	}
	leave, ok := takeTurn(w, r, s.reporting, answerTimeout/2)
	if !ok {
		return
	}
	defer leave()
	opt.About = s.aboutAlert
	source := report.FromHistory(s.cfg.History, report.Service{
		Name: s.cfg.Service.Name, Version: s.cfg.Service.Version, Instance: s.cfg.Service.Instance,
	})
	rep, err := report.Build(r.Context(), source, opt)
	switch {
	case errors.Is(err, report.ErrNoSamples):
		fail(w, http.StatusNotFound, "not_found", err.Error())
		return
	case err != nil:
		badParameter(w, err)
		return
	}
	var body bytes.Buffer
	if err := rep.Write(&body, format); err != nil {
		fail(w, http.StatusInternalServerError, "internal", err.Error())
		return
	}
	leave()
	h := w.Header()
	if format == report.HTML {
		h.Set("Content-Security-Policy", report.Policy())
	} else if format != report.JSON {
		h.Set("Content-Disposition", `inline; filename="report.`+map[report.Format]string{report.CSV: "csv", report.Text: "txt"}[format]+`"`)
	}
	s.deliver(w, body.Len(), func() { sendAs(w, r, format.ContentType(), body.Bytes()) })
}

// parseReport reads the parameters of /report.
func parseReport(v url.Values, now time.Time) (report.Format, report.Options, error) {
	var opt report.Options
	format := report.HTML
	var err error
	if text := v.Get("format"); text != "" {
		if format, err = report.ParseFormat(text); err != nil {
			return "", opt, err
		}
	}
	if text := v.Get("range"); text != "" {
		if opt.Range, err = time.ParseDuration(text); err != nil {
			return "", opt, fmt.Errorf("range: %.40q is not a duration such as 15m or 1h", text)
		}
		if err := report.CheckRange(opt.Range); err != nil {
			return "", opt, err
		}
	}
	if opt.Until, err = parseTime("until", v.Get("until"), now); err != nil {
		return "", opt, err
	}
	opt.Metrics = v["metric"]
	if len(opt.Metrics) > maxMetrics {
		return "", opt, fmt.Errorf("metric: %d names; at most %d are allowed", len(opt.Metrics), maxMetrics)
	}
	return format, opt, nil
}

// transitions is what an AlertSource may tell beyond the states of now; *alertproc.Processor does.
type transitions interface {
	Transitions(alert string) []alertproc.Transition
}

// aboutAlert adds to an alert why it fired, and what was recorded when it did.
func (s *Server) aboutAlert(a *report.Alert, from, until time.Time) {
	from = from.Add(-time.Minute) // the state metric shows a change one snapshot after it
	if past, ok := s.cfg.Alerts.(transitions); ok {
		for _, t := range past.Transitions(a.Name) {
			if t.To == alertproc.StateFiring && t.Alert.Severity == a.Severity && t.At.After(from) && !t.At.After(until) {
				a.Why = t.Reason
			}
		}
	}
	if s.cfg.Captures == nil {
		return
	}
	for _, m := range s.cfg.Captures.Captures() {
		if answers(&m, a.Name, from, until) {
			a.Captures = append(a.Captures, captureLinks(&m)...)
		}
	}
}

// answers tells whether a capture was made for an alert in a stretch of time, or stood in for one of its own.
func answers(m *capture.Manifest, alert string, from, until time.Time) bool {
	within := func(t time.Time) bool { return t.After(from) && !t.After(until) }
	return m.Alert == alert && within(m.At) ||
		slices.ContainsFunc(m.Attached, func(t capture.Attachment) bool { return t.Alert == alert && within(t.At) })
}

// captureLinks leads to the page of a capture, and to each thing in it.
func captureLinks(m *capture.Manifest) []report.Link {
	links := []report.Link{{Text: "capture of " + m.At.UTC().Format("15:04:05"), URL: "/captures/" + url.PathEscape(m.ID)}}
	for _, a := range m.Artefacts {
		if a.Status == capture.StatusOK {
			links = append(links, report.Link{Text: string(a.Kind), URL: "/api/captures/" + url.PathEscape(m.ID) + "/" + url.PathEscape(a.File)})
		}
	}
	return links
}
