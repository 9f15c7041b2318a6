package tables

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestPut(t *testing.T) {
	place := Place{Begin: "<!-- here -->\n", End: "<!-- to here -->\n"}
	for name, test := range map[string]struct {
		doc, want string // "" for an error
	}{
		"replaced":      {"before\n<!-- here -->\nold\n<!-- to here -->\nafter\n", "before\n<!-- here -->\nnew\n<!-- to here -->\nafter\n"},
		"empty so far":  {"<!-- here -->\n<!-- to here -->\n", "<!-- here -->\nnew\n<!-- to here -->\n"},
		"no place":      {"before\n", ""},
		"no end":        {"<!-- here -->\nold\n", ""},
		"the end first": {"<!-- to here -->\n<!-- here -->\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "doc.md")
			if err := os.WriteFile(file, []byte(test.doc), 0o600); err != nil {
				t.Fatal(err)
			}
			err := place.Put(file, "new\n")
			got, _ := os.ReadFile(file)
			if test.want == "" {
				if err == nil || !strings.Contains(err.Error(), "lacks the lines") || string(got) != test.doc {
					t.Errorf("error %v, the file is now %q; want an error and nothing changed", err, got)
				}
			} else if err != nil || string(got) != test.want {
				t.Errorf("error %v, the file is now %q, want %q", err, got, test.want)
			}
		})
	}
	if err := place.Put(filepath.Join(t.TempDir(), "missing"), "x"); err == nil || !strings.HasPrefix(err.Error(), "-doc: ") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestMachine(t *testing.T) {
	if got := Machine(); !strings.HasPrefix(got, runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH+", ") {
		t.Errorf("%q", got)
	}
}
