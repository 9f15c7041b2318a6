package alertproc

import (
	"math"
	"strings"
	"testing"
)

func TestTemplates(t *testing.T) {
	data := TextData{
		Alert: "A", Group: "g", Value: 0.25, Threshold: 0.1, Severity: "crit", Labels: map[string]string{"http.route": "/a", "zone": "eu"},
	}
	for in, want := range map[string]string{
		"plain": "plain",
		"{{ .Value }} {{ .Threshold }} {{ .Severity }} {{ .Alert }} {{ .Group }}":  "0.25 0.1 crit A g",
		`{{ index .Labels "http.route" }} {{ .Labels.zone }} [{{ .Labels.none }}]`: "/a eu []",
		"{{ $value }} {{ $labels.zone }}":                                          "0.25 eu",
		"{{ humanizeDuration .Value }}":                                            "250ms",
		"{{ humanizePercentage .Value }}":                                          "25%",
		`{{ printf "%.1f" .Value }}`:                                               "0.2",
		"{{ .Severity | toUpper }}":                                                "CRIT",
		"{{ .Value | toUpper }}":                                                   "<error expanding template: executing \"text\" at <toUpper>: wrong type for value; expected string; got float64>",
	} {
		text, err := parseText("x", in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := text.expand(data); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

// A template runs inside an evaluation, so one without an end must not keep it.
func TestTemplatesAreBounded(t *testing.T) {
	const steps, long = "takes too many steps", "longer than 65536 bytes"
	for in, want := range map[string]string{
		`{{ range 1000000000 }}{{ end }}`:                                                                               steps,
		`{{ range 1000000000 }}{{ if false }}x{{ end }}{{ end }}`:                                                       steps,
		`{{ if true }}{{ range 99999 }}{{ range 99999 }}{{ end }}{{ end }}{{ end }}`:                                    steps,
		`{{ define "a" }}{{ if .Alert }}{{ template "a" . }}{{ template "a" . }}{{ end }}{{ end }}{{ template "a" . }}`: steps,
		`{{ range 1000000000 }}x{{ end }}`:                                                                              steps,
		`{{ range 1000000000 }}0123456789 0123456789 0123456789{{ end }}`:                                               long,
		`{{ printf "%100000d" 1 }}`:                                                                                     long,
		`{{ index .Labels 1 2 3 }}`:                                                                                     "executing",
		`{{ slice .Alert 5 9 }}`:                                                                                        "out of range",
		`{{ range 3 }}{{ . }}{{ end }}{{ range 3 }}a{{ end }}`:                                                          "012aaa",
	} {
		text, err := parseText("x", in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := text.expand(TextData{Alert: "A"}); !strings.Contains(got, want) || len(got) > maxTextBytes {
			t.Errorf("%s\n got %.200s\nwant %s in it", in, got, want)
		}
	}
}

// The cases are those of Prometheus' template tests.
func TestHumanize(t *testing.T) {
	for _, tc := range []struct {
		f    func(float64) string
		in   float64
		want string
	}{
		{humanize, 0, "0"},
		{humanize, 1, "1"},
		{humanize, 1234567, "1.235M"},
		{humanize, 0.12, "120m"},
		{humanize, 1e-30, "1e-06y"},
		{humanize, -1500, "-1.5k"},
		{humanize, math.Inf(1), "+Inf"},
		{humanize, math.NaN(), "NaN"},
		{humanizeBytes, 0, "0"},
		{humanizeBytes, 1048576, "1Mi"},
		{humanizeBytes, 0.12, "0.12"},
		{humanizeDuration, 0, "0s"},
		{humanizeDuration, 1, "1s"},
		{humanizeDuration, 60, "1m 0s"},
		{humanizeDuration, 3600, "1h 0m 0s"},
		{humanizeDuration, 86400, "1d 0h 0m 0s"},
		{humanizeDuration, 86400 + 3600, "1d 1h 0m 0s"},
		{humanizeDuration, -(86400*2 + 3600*3 + 60*4 + 5), "-2d 3h 4m 5s"},
		{humanizeDuration, 899.99, "14m 59s"},
		{humanizeDuration, .1, "100ms"},
		{humanizeDuration, .0001, "100us"},
		{humanizeDuration, .12345, "123.5ms"},
		{humanizeDuration, 60.1, "1m 0s"},
		{humanizeDuration, 1234.5678, "20m 34s"},
		{humanizeDuration, 12.345, "12.35s"},
		{humanizeDuration, 1e300, "1e+300s"},
		{humanizePercentage, 0.1234567, "12.35%"},
	} {
		if got := tc.f(tc.in); got != tc.want {
			t.Errorf("of %g: got %q, want %q", tc.in, got, tc.want)
		}
	}
}
