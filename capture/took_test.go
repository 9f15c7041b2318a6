package capture

import (
	"encoding/json"
	"testing"
	"time"
)

// What is read is what was written, to the nanosecond.
func TestTookIsReadAsItWasWritten(t *testing.T) {
	for d := 131_988_000 * time.Nanosecond; d < 131_990_000; d++ {
		b, err := json.Marshal(Manifest{Took: d, Artefacts: []Artefact{{Took: d}}})
		if err != nil {
			t.Fatal(err)
		}
		var m Manifest
		if err := json.Unmarshal(b, &m); err != nil || m.Took != d || m.Artefacts[0].Took != d {
			t.Fatalf("%d ns: read %d and %d, error %v", d, m.Took, m.Artefacts[0].Took, err)
		}
	}
}
