package history_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelnet/agent/history"
)

// Two processes share a file: the second continues the series of the first, whose counters begin anew at values above the old.
func TestFileKeepsTheHistoryOverARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history")
	cfg := history.Config{File: file, Fine: time.Minute}
	kinds := []attribute.KeyValue{attribute.String("s", "x"), attribute.Int("i", 7), attribute.Bool("b", true), attribute.Float64("f", 0.5)}
	take := func(c int64, h uint64) *metricdata.ResourceMetrics {
		return snapshot(counter("c", point(c, kinds...)), gauge("g", point(float64(c)/2)), histogram("h", buckets(float64(h), []uint64{h, 0, 1})))
	}
	first := newStore(t, cfg)
	for i := range 200 {
		first.Append(at(i), take(int64(10*i), uint64(i)))
	}
	before := first.Query(history.Query{})
	if err := first.Save(); err != nil {
		t.Fatal(err)
	}
	second := newStore(t, cfg)
	if err := second.LoadError(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, second.Query(history.Query{}), cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("after the restart (-saved +loaded):\n%s", diff)
	}
	for i := range 100 {
		second.Append(at(201+i), take(int64(5000+i), uint64(1000+i)))
	}
	res := second.Query(history.Query{Since: at(198)})
	if diff := cmp.Diff([]history.Gap{{From: at(199).Local(), To: at(201).Local()}}, res.Gaps); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if len(res.Series) != 3 || len(res.Series[0].Attributes) != len(kinds) {
		t.Fatalf("got %d series, want three: each continues that of the first process", len(res.Series))
	}
	// The first process is thinned by now: what came before 199 s is 194 s.
	for i, want := range [][]float64{{50, 5000, 1, 1}, {995, 2500, 2500.5, 2501}, {5, 1001, 1, 1}} {
		if diff := cmp.Diff(want, res.Series[i].Values[:4]); diff != "" {
			t.Errorf("%s around the restart (-want +got):\n%s", res.Series[i].Metric, diff)
		}
	}
	// A third process, so that thinning and restarts go on after a load.
	if err := second.Save(); err != nil {
		t.Fatal(err)
	}
	third := newStore(t, cfg)
	for i := range 200 {
		third.Append(at(400+i), take(int64(i), 0))
	}
	if st := third.Stats(); st.Snapshots > 200/5+100/5+200+64+8 || !st.Oldest.Equal(at(0)) {
		t.Errorf("got %+v, want older snapshots thinned and all three processes", st)
	}
	total := 0.0
	for _, v := range third.Query(history.Query{Since: at(0)}).Series[0].Values {
		total += v
	}
	if want := 1990.0 + 5099 + 199; total != want {
		t.Errorf("the counters of three processes rose by %g, want %g", total, want)
	}
}

func TestFileThatCannotBeUsedIsRenamed(t *testing.T) {
	dir := t.TempDir()
	good := newStore(t, history.Config{File: filepath.Join(dir, "good")})
	good.Append(time.Now(), snapshot(counter("c", point(int64(1)))))
	if err := good.Save(); err != nil {
		t.Fatal(err)
	}
	future := newStore(t, history.Config{File: filepath.Join(dir, "future")})
	future.Append(time.Now().Add(time.Hour), snapshot(counter("c", point(int64(1)))))
	if err := future.Save(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, "good"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), whole...)
	flipped[len(flipped)-3] ^= 1
	for name, tc := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":   {nil, "not a history of this version"},
		"other":   {[]byte("otelnet history 9\n...."), "not a history of this version"},
		"short":   {whole[:len(whole)/2], "its checksum is wrong"},
		"flipped": {flipped, "its checksum is wrong"},
		"future":  {nil, "later than now"},
	} {
		path := filepath.Join(dir, name)
		if name != "future" {
			if err := os.WriteFile(path, tc.content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s := newStore(t, history.Config{File: path})
		if err := s.LoadError(); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path+".corrupt") {
			t.Errorf("%s: got %v, want %q and the new name", name, err, tc.want)
		}
		if _, err := os.Stat(path + ".corrupt"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if st := s.Stats(); st.Snapshots != 0 {
			t.Errorf("%s: %d snapshots, want an empty store", name, st.Snapshots)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestSaveTellsWhatIsWrong(t *testing.T) {
	s := newStore(t, history.Config{File: filepath.Join(t.TempDir(), "none", "history")})
	if err := s.Save(); err == nil || !strings.HasPrefix(err.Error(), "history: save: open ") {
		t.Errorf("got %v, want an error of opening", err)
	}
	if err := newStore(t, history.Config{}).Save(); err != nil {
		t.Errorf("without a file: %v", err)
	}
}

// Where the file cannot be made is told at the start, not when the process ends.
func TestNoDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent", "history")
	s := newStore(t, history.Config{File: path})
	if err := s.LoadError(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want that %s cannot be written", err, path)
	}
	dir := t.TempDir()
	if err := newStore(t, history.Config{File: filepath.Join(dir, "history")}).LoadError(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
