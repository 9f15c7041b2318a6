package alertproc

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// alertmanager posts alerts to an Alertmanager's API v2. It holds no state: the processor says which alerts are due,
// and repeats them, so a message that is lost is made up for by the next.
type alertmanager struct {
	endpoint
	externalURL string
	keepDots    bool
}

func newAlertmanager(client *http.Client, n AlertmanagerNotify, externalURL string) *alertmanager {
	address := n.URL
	if u, err := url.Parse(n.URL); err == nil {
		address = u.JoinPath("api/v2/alerts").String()
	}
	return &alertmanager{newEndpoint(client, address), externalURL, n.KeepDots}
}

// postableAlert is the schema of that name in Alertmanager's api/v2/openapi.yaml.
type postableAlert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

func (n *alertmanager) deliver(ctx context.Context, m message) error {
	alerts := make([]postableAlert, 0, len(m.alerts))
	for _, a := range m.alerts {
		alerts = append(alerts, postableAlert{
			Labels: n.names(a.Labels), Annotations: n.names(a.Annotations), StartsAt: a.FiredAt, EndsAt: a.until,
			GeneratorURL: n.externalURL,
		})
	}
	return n.post(ctx, alerts)
}

// names makes label names that every Alertmanager accepts. Before UTF-8 names, one with a dot had the alert refused.
func (n *alertmanager) names(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for _, name := range sortedKeys(m) {
		plain := name
		if !n.keepDots {
			plain = underscored(name)
		}
		out[plain] = m[name]
	}
	return out
}

// underscored puts an underscore for each character that Prometheus' classic label names do not have.
func underscored(name string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		default:
			return '_'
		}
	}, name)
	if plain != "" && plain[0] >= '0' && plain[0] <= '9' {
		plain = "_" + plain
	}
	return plain
}
