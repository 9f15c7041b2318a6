package alertproc

import "go.yaml.in/yaml/v3"

func (l *loader) notify(k key) Notify {
	var n Notify
	// "- log" is the same as "- log: {}".
	if k.value.Kind == yaml.ScalarNode && k.value.Value == "log" {
		n.Log = &LogNotify{}
		return n
	}
	l.mapping(k.value, k.path, notifyKeys, func(k key) {
		switch k.name {
		case "log":
			n.Log = &LogNotify{}
			if k.value.Tag != "!!null" {
				l.mapping(k.value, k.path, nil, func(key) {})
			}
		case "delay":
			n.Delay = l.delay(k)
		case "webhook":
			n.Webhook = &WebhookNotify{}
			l.mapping(k.value, k.path, []string{"url", "timeout", "headers", "secret"}, func(k key) {
				switch k.name {
				case "url":
					n.Webhook.URL = l.text(k)
				case "timeout":
					n.Webhook.Timeout = l.positive(k)
				case "headers":
					n.Webhook.Headers = l.textMap(k)
				case "secret":
					n.Webhook.Secret = l.text(k)
				}
			})
		case "alertmanager":
			n.Alertmanager = &AlertmanagerNotify{}
			l.mapping(k.value, k.path, []string{"url", "timeout", "resend", "keep_dots"}, func(k key) {
				switch k.name {
				case "url":
					n.Alertmanager.URL = l.text(k)
				case "timeout":
					n.Alertmanager.Timeout = l.positive(k)
				case "resend":
					n.Alertmanager.Resend = l.positive(k)
				case "keep_dots":
					n.Alertmanager.KeepDots = l.truth(k)
				}
			})
		}
	})
	return n
}

func (l *loader) delay(k key) *Delay {
	var d Delay
	path := k.path
	l.mapping(k.value, k.path, delayKeys, func(k key) {
		switch k.name {
		case "up":
			d.Up = l.duration(k)
		case "down":
			d.Down = l.duration(k)
		case "multiplier":
			if d.Multiplier = l.number(k); d.Multiplier < 1 && !l.pos.bad[k.path] { // 0 would mean 1 in Go
				l.fail(k.value, k.path, "delay: multiplier %g is not a number of at least 1", d.Multiplier)
			}
		case "max":
			d.Max = l.positive(k)
		}
		if l.pos.bad[k.path] {
			l.pos.unknown[path] = true // what is missing may be what was meant there
		}
	})
	return &d
}
