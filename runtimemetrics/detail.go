package runtimemetrics

import (
	"runtime/metrics"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/goconv"
)

// withDetails replaces the points of go.memory.used and go.cpu.time by one for each class that all holds.
func withDetails(list []instrument, all []metrics.Description) []instrument {
	for i := range list {
		switch list[i].name {
		case goconv.MemoryUsed{}.Name():
			list[i].points = memoryClasses(all)
		case goconv.CPUTime{}.Name():
			list[i].points = cpuClasses(all)
		}
	}
	return list
}

// memoryClasses skips the total and what was given back to the system: neither is memory in use.
func memoryClasses(all []metrics.Description) []point {
	var points []point
	for _, d := range all {
		class, ok := between(d.Name, "/memory/classes/", ":bytes")
		if !ok || class == "total" || class == "heap/released" {
			continue
		}
		memoryType := semconv.GoMemoryTypeOther
		if class == "heap/stacks" {
			memoryType = semconv.GoMemoryTypeStack
		}
		points = append(points, point{
			key:  d.Name,
			attr: []attribute.KeyValue{memoryType, semconv.GoMemoryDetailedType(class)},
		})
	}
	return points
}

// cpuClasses skips every total, so that the points of one state add up to what it has without details.
func cpuClasses(all []metrics.Description) []point {
	var points []point
	for _, d := range all {
		class, ok := between(d.Name, "/cpu/classes/", ":cpu-seconds")
		if !ok || class == "total" || strings.HasSuffix(class, "/total") {
			continue
		}
		state, _, _ := strings.Cut(class, "/")
		points = append(points, point{
			key:  d.Name,
			attr: []attribute.KeyValue{semconv.GoCPUStateKey.String(state), semconv.GoCPUDetailedState(class)},
		})
	}
	return points
}

func between(s, prefix, suffix string) (string, bool) {
	s, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(s, suffix)
}
