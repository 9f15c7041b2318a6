package otelnet

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// The package comment's list is the witness.
func TestMetricNamesAreThoseOfTheList(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^//\t((?:otelnet|http|dns)\.[a-z_.]+) `).FindAllSubmatch(text, -1) {
		want = append(want, string(m[1]))
	}
	slices.Sort(want)
	want = slices.Compact(want)
	got := MetricNames()
	if len(want) < 25 {
		t.Fatalf("the list has only %d metrics", len(want))
	}
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("%s is listed, and not among the names", name)
		}
	}
	for _, name := range got {
		if !slices.Contains(want, name) {
			t.Errorf("%s is among the names, and not listed", name)
		}
	}
}
