package report

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestCatalogHasEveryMetric holds the catalog against README's table, which other tests hold against the packages.
func TestCatalogHasEveryMetric(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n## Metrics")
	table, _, _ = strings.Cut(table, "\n## ")
	name := regexp.MustCompile("`([a-z_.]+)`")
	n := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, m := range name.FindAllStringSubmatch(cells[1], -1) {
			n++
			k := catalogByName[m[1]]
			if k == nil {
				t.Errorf("the catalog lacks %s", m[1])
				continue
			}
			if kind := cells[2]; strings.Contains(kind, "histogram") && !strings.Contains(kind, ", ") && k.kind != Histogram {
				t.Errorf("%s is a histogram in README", m[1])
			}
		}
	}
	if n < 60 {
		t.Errorf("README names %d metrics, want many", n)
	}
}
