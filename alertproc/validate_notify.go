package alertproc

import (
	"math"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"
)

func (c *checker) notify(path string, n Notify) {
	set := 0
	if n.Log != nil {
		set++
	}
	if n.Webhook != nil {
		set++
		c.url(path+".webhook", "webhook", n.Webhook.URL)
		for _, header := range sortedKeys(n.Webhook.Headers) {
			if !httpguts.ValidHeaderFieldName(header) || !httpguts.ValidHeaderFieldValue(n.Webhook.Headers[header]) {
				c.fail(path+".webhook.headers."+header, "webhook: %q or its value cannot be sent as a header", header)
			}
		}
		if n.Webhook.Timeout < 0 {
			c.fail(path+".webhook.timeout", "webhook: timeout is negative: %s", n.Webhook.Timeout)
		}
	}
	if n.Alertmanager != nil {
		set++
		c.url(path+".alertmanager", "alertmanager", n.Alertmanager.URL)
		if n.Alertmanager.Timeout < 0 || n.Alertmanager.Resend < 0 {
			c.fail(path+".alertmanager", "alertmanager: timeout and resend must not be negative")
		}
	}
	if n.Notifier != nil {
		set++
	}
	if n.Delay != nil {
		c.delay(path+".delay", *n.Delay)
	}
	switch {
	case set == 0:
		c.missing(path, "an entry of notify needs one of %s", strings.Join(notifyPlaces, ", "))
	case set > 1:
		c.fail(path, "an entry of notify names %d places; give each its own entry", set)
	}
}

func (c *checker) delay(path string, d Delay) {
	longest := max(d.Up, d.Down)
	switch {
	case d.Up < 0 || d.Down < 0 || d.Max < 0:
		c.fail(path, "delay: up, down and max must not be negative")
	case longest == 0:
		c.missing(path, "delay needs up, down or both")
	case d.Max > 0 && d.Max < longest:
		c.fail(path+".max", "delay: max %s is shorter than the delay of %s", shortDuration(d.Max), shortDuration(longest))
	}
	if d.Multiplier != 0 && !(d.Multiplier >= 1) || math.IsInf(d.Multiplier, 0) {
		c.fail(path+".multiplier", "delay: multiplier %g is not a number of at least 1", d.Multiplier)
	}
}

// url does not repeat the address in its messages: it may hold a password or a token.
func (c *checker) url(path, what, address string) {
	if address == "" {
		c.missing(path, "%s needs a url", what)
		return
	}
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		c.fail(path+".url", "%s: url is not a full http or https address such as http://127.0.0.1:9093", what)
	}
}
