package flame

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/google/pprof/driver"
	"github.com/google/pprof/profile"
)

var errRefused = errors.New("not done here")

// handlers has the driver make its pages for a profile. Everything by which it would reach out of its own memory is replaced by what
// refuses. With a base it is a difference.
func handlers(p, base *profile.Profile) (map[string]http.Handler, error) {
	var pages map[string]http.Handler
	// No flag of the driver's takes an address: a host and a port are needed for it to hand out its handlers.
	set := flags{"http": "localhost:0", "no_browser": "true", "symbolize": "none"}
	if base != nil {
		set["diff_base"] = "base"
	}
	err := driver.PProf(&driver.Options{
		Flagset: set, Fetch: fetcher{p, base}, Sym: noSymbols{}, Obj: noTools{}, UI: silence{}, Writer: noFiles{}, HTTPTransport: noNetwork{},
		HTTPServer: func(args *driver.HTTPServerArgs) error {
			pages = args.Handlers
			return nil
		},
	})
	if err != nil {
		return nil, fmt.Errorf("flame: pprof: %w", err)
	}
	return pages, nil
}

// fetcher gives the driver the profiles that it was made with.
type fetcher struct{ profile, base *profile.Profile }

func (f fetcher) Fetch(source string, _, _ time.Duration) (*profile.Profile, string, error) {
	p := f.profile
	if source == "base" {
		p = f.base
	}
	// The driver would look for the program's file and its symbols in the home directory.
	for _, m := range p.Mapping {
		m.BuildID = ""
	}
	return p, "", nil
}

// flags is the command line: what is set, and the driver's defaults for the rest.
type flags map[string]string

func (f flags) Bool(name string, def bool, _ string) *bool {
	if v, ok := f[name]; ok {
		def = v == "true"
	}
	return &def
}

func (f flags) Int(name string, def int, _ string) *int {
	if v, err := strconv.Atoi(f[name]); err == nil {
		def = v
	}
	return &def
}

func (f flags) Float64(_ string, def float64, _ string) *float64 { return &def }

func (f flags) String(name, def, _ string) *string {
	if v, ok := f[name]; ok {
		def = v
	}
	return &def
}

func (f flags) StringList(name, def, _ string) *[]*string {
	return &[]*string{f.String(name, def, "")}
}

func (flags) ExtraUsage() string    { return "" }
func (flags) AddExtraUsage(string)  {}
func (flags) Parse(func()) []string { return []string{"profile"} }

type silence struct{}

func (silence) ReadLine(string) (string, error)     { return "", io.EOF }
func (silence) Print(...any)                        {}
func (silence) PrintErr(...any)                     {}
func (silence) IsTerminal() bool                    { return false }
func (silence) WantBrowser() bool                   { return false }
func (silence) SetAutoComplete(func(string) string) {}

type noSymbols struct{}

func (noSymbols) Symbolize(string, driver.MappingSources, *profile.Profile) error { return nil }

type noTools struct{}

func (noTools) Open(string, uint64, uint64, uint64, string) (driver.ObjFile, error) {
	return nil, errRefused
}

func (noTools) Disasm(string, uint64, uint64, bool) ([]driver.Inst, error) { return nil, errRefused }

type noFiles struct{}

func (noFiles) Open(string) (io.WriteCloser, error) { return nil, errRefused }

type noNetwork struct{}

func (noNetwork) RoundTrip(*http.Request) (*http.Response, error) { return nil, errRefused }
