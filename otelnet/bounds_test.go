package otelnet

import (
	"slices"
	"testing"
)

func TestBucketBounds(t *testing.T) {
	got := BucketBounds()
	// The semantic conventions' advice for request durations, and our hour for connections.
	if want := []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}; !slices.Equal(got["http.server.request.duration"], want) {
		t.Errorf("http.server.request.duration: got %v, want %v", got["http.server.request.duration"], want)
	}
	if b := got["otelnet.server.connection.duration"]; len(b) == 0 || b[len(b)-1] != 3600 {
		t.Errorf("otelnet.server.connection.duration: got %v, want bounds up to 3600", b)
	}
	got["http.server.request.duration"][0] = -1
	if again := BucketBounds()["http.server.request.duration"][0]; again == -1 {
		t.Error("a change of the returned bounds is seen by the next caller")
	}
}
