package alertproc

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"time"
)

// webhook posts changes in the form of Alertmanager's webhook receiver, so that what was written for it can be used.
type webhook struct {
	endpoint
	externalURL string
}

func newWebhook(client *http.Client, n WebhookNotify, externalURL string) *webhook {
	w := &webhook{newEndpoint(client, n.URL), externalURL}
	w.headers, w.secret = n.Headers, n.Secret
	return w
}

// webhookMessage is version 4 of https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.
type webhookMessage struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   uint64            `json:"truncatedAlerts"`
	Status            string            `json:"status"`
	Receiver          string            `json:"receiver"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Alerts            []webhookAlert    `json:"alerts"`
}

type webhookAlert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"` // the zero time while firing, as there
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
	Capture      *Evidence         `json:"capture,omitempty"` // ours; others know only the annotation
}

func (w *webhook) deliver(ctx context.Context, m message) error {
	return w.post(ctx, w.message(m.changes))
}

// message makes one message of the changes of one rule.
func (w *webhook) message(changes []Transition) webhookMessage {
	name := changes[0].Alert.Rule
	msg := webhookMessage{
		Version: "4", GroupKey: fmt.Sprintf("{}:{alertname=%q}", name), Status: "resolved", Receiver: "otelnet",
		GroupLabels: map[string]string{"alertname": name}, ExternalURL: w.externalURL,
	}
	for _, t := range changes {
		a := webhookAlert{
			Status: "firing", Labels: t.Alert.Labels, Annotations: t.Alert.Annotations,
			StartsAt: t.Alert.FiredAt, GeneratorURL: w.externalURL, Fingerprint: fingerprint(t.Alert.Labels),
		}
		if t.To == StateFiring {
			msg.Status = "firing"
		} else {
			a.Status, a.EndsAt = "resolved", t.At
		}
		if e := t.Alert.Evidence; e != (Evidence{}) {
			a.Capture = &e
		}
		if a.Annotations == nil {
			a.Annotations = map[string]string{} // {} and not null, as receivers expect
		}
		msg.Alerts = append(msg.Alerts, a)
		if t.FromSeverity != "" {
			// The other severity is another label set, whose alert ends here.
			old := a
			old.Labels = withLabel(t.Alert.Labels, "severity", t.FromSeverity)
			old.Status, old.EndsAt, old.Fingerprint = "resolved", t.At, fingerprint(old.Labels)
			msg.Alerts = append(msg.Alerts, old)
		}
	}
	msg.CommonLabels, msg.CommonAnnotations = msg.Alerts[0].Labels, msg.Alerts[0].Annotations
	for _, a := range msg.Alerts[1:] {
		msg.CommonLabels = common(msg.CommonLabels, a.Labels)
		msg.CommonAnnotations = common(msg.CommonAnnotations, a.Annotations)
	}
	return msg
}

func withLabel(labels map[string]string, name, value string) map[string]string {
	m := make(map[string]string, len(labels)+1)
	for k, v := range labels {
		m[k] = v
	}
	m[name] = value
	return m
}

// common returns the entries that are the same in both.
func common(a, b map[string]string) map[string]string {
	m := map[string]string{}
	for k, v := range a {
		if w, ok := b[k]; ok && v == w {
			m[k] = v
		}
	}
	return m
}

// fingerprint is a name for a label set: FNV-1a over its sorted names and values, the same at every start.
func fingerprint(labels map[string]string) string {
	h := fnv.New64a()
	for _, name := range sortedKeys(labels) {
		h.Write([]byte(name))
		h.Write([]byte{0xff})
		h.Write([]byte(labels[name]))
		h.Write([]byte{0xff})
	}
	return fmt.Sprintf("%016x", h.Sum64())
}
