package flame

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

const (
	maxPage  = 16 << 20
	maxValue = 4 << 10 // of a parameter: the driver joins names with | when a reader hides one after another
)

// Views are what [Render] makes: a flame graph, a table, and the callers and callees of functions.
var Views = []string{"flamegraph", "top", "peek"}

// parameters are those of the driver that a page may have: filters, what is counted, how it is shown.
var parameters = strings.Fields("f i h s sf tf ti ts th p si g n rel calltree trim compact noinlines showcolumns sort mean unit dropneg")

// ErrBusy says that others were being served for all the time that the caller would wait.
var ErrBusy = errors.New("another page is being made")

// ParameterError says what is wrong with the parameters of a page.
type ParameterError struct{ Text string }

func (e *ParameterError) Error() string { return e.Text }

// Page is a document of the driver's.
type Page struct {
	HTML   []byte
	Policy string // the Content-Security-Policy to send with it, without which it should not be sent
}

var (
	turn  = make(chan struct{}, 1)
	parts = make(map[string]tags) // of a harmless page of each view; whoever has the turn may touch it
)

// tags counts what a page needs a policy for.
type tags struct{ scripts, styles int }

const (
	scriptTag = "<script>"
	styleTag  = `<style type="text/css">`
	bodyEnd   = "</body>"
)

//go:embed bridge.js
var bridge string

//go:embed page.css
var style string

// Render makes a page of one of [Views] from p, or of its difference from base where that is not nil. The query has the driver's
// parameters; one that is unknown or wrong is a [*ParameterError]. While others are served it waits until ctx ends; the error is then
// [ErrBusy]. Both profiles are the driver's afterwards.
func Render(ctx context.Context, view string, p, base *profile.Profile, query url.Values) (*Page, error) {
	if !slices.Contains(Views, view) {
		return nil, &ParameterError{fmt.Sprintf("view: %.40q is unknown; allowed are %s", view, strings.Join(Views, ", "))}
	}
	if err := checkQuery(query); err != nil {
		return nil, err
	}
	if _, err := os.UserConfigDir(); err != nil {
		return nil, fmt.Errorf("flame: pprof needs to know where its settings would be: %w", err)
	}
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ErrBusy
	}
	defer func() { <-turn }()
	if _, known := parts[view]; !known {
		sample, err := produce(view, harmless(), nil, nil)
		if err != nil {
			return nil, err
		}
		parts[view] = count(sample)
	}
	html, err := produce(view, p, base, query)
	if err != nil {
		return nil, err
	}
	return seal(html, parts[view])
}

func checkQuery(query url.Values) error {
	for name, values := range query {
		if !slices.Contains(parameters, name) {
			return &ParameterError{fmt.Sprintf("%.40q is no parameter of this page; allowed are %s", name, strings.Join(parameters, ", "))}
		}
		if len(values) != 1 || len(values[0]) > maxValue {
			return &ParameterError{fmt.Sprintf("%s: one value of at most %d bytes is allowed", name, maxValue)}
		}
	}
	return nil
}

// produce has the driver make one page. The caller has the turn.
func produce(view string, p, base *profile.Profile, query url.Values) (html []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			html, err = nil, fmt.Errorf("flame: pprof: panic: %.200v", v)
		}
	}()
	pages, err := handlers(p, base)
	if err != nil {
		return nil, err
	}
	page, ok := pages["/"+view]
	if !ok {
		return nil, fmt.Errorf("flame: this version of pprof has no view %q", view)
	}
	w := &recorder{header: make(http.Header)}
	page.ServeHTTP(w, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/" + view, RawQuery: query.Encode()}, Header: http.Header{}})
	switch {
	case w.full:
		return nil, fmt.Errorf("flame: a page of more than %d MB: %w", maxPage>>20, ErrTooLarge)
	case w.status >= 500:
		return nil, fmt.Errorf("flame: pprof: %.300s", strings.TrimSpace(w.body.String()))
	case w.status >= 400:
		return nil, &ParameterError{fmt.Sprintf("pprof: %.300s", strings.TrimSpace(w.body.String()))}
	}
	return w.body.Bytes(), nil
}

// recorder keeps what a handler answers, up to a bound.
type recorder struct {
	header http.Header
	body   bytes.Buffer
	status int
	full   bool
}

func (w *recorder) Header() http.Header    { return w.header }
func (w *recorder) WriteHeader(status int) { w.status = status }

func (w *recorder) Write(b []byte) (int, error) {
	if w.body.Len()+len(b) > maxPage {
		w.full = true
		return 0, ErrTooLarge
	}
	return w.body.Write(b)
}

func count(html []byte) tags {
	return tags{
		scripts: strings.Count(strings.ToLower(string(html)), "<script"),
		styles:  strings.Count(strings.ToLower(string(html)), "<style"),
	}
}

// seal lets the scripts of the page run, and nothing else. A page with more of them than it should have is none of the driver's.
func seal(html []byte, want tags) (*Page, error) {
	got := count(html)
	if got != want || bytes.Count(html, []byte(scriptTag)) != want.scripts || bytes.Count(html, []byte(styleTag)) != want.styles ||
		bytes.Count(html, []byte(bodyEnd)) != 1 {
		return nil, fmt.Errorf("flame: pprof's page has %d scripts and %d styles, want %d and %d", got.scripts, got.styles, want.scripts, want.styles)
	}
	nonce := rand.Text()
	html = bytes.ReplaceAll(html, []byte(scriptTag), []byte(`<script nonce="`+nonce+`">`))
	html = bytes.ReplaceAll(html, []byte(styleTag), []byte(`<style nonce="`+nonce+`">`))
	html = bytes.Replace(html, []byte(bodyEnd), []byte(
		`<style nonce="`+nonce+`">`+style+"</style>\n"+`<script nonce="`+nonce+`">`+bridge+"</script>\n"+bodyEnd), 1)
	return &Page{HTML: html, Policy: "default-src 'none'; script-src 'nonce-" + nonce + "'; style-src 'nonce-" + nonce + "'; img-src data:; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"}, nil
}

// harmless is a profile without any name in it that a stranger chose.
func harmless() *profile.Profile {
	f := &profile.Function{ID: 1, Name: "f"}
	loc := &profile.Location{ID: 1, Line: []profile.Line{{Function: f}}}
	return &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}}, Function: []*profile.Function{f}, Location: []*profile.Location{loc},
		Sample: []*profile.Sample{{Location: []*profile.Location{loc}, Value: []int64{1}}},
	}
}
