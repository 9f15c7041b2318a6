package admin

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelnet/agent/capture"
)

const maxProfile = 5 * time.Minute

// profiles serves /debug/pprof/ with the paths and parameters that go tool pprof and go tool trace know. net/http/pprof would do,
// but importing it registers its handlers on http.DefaultServeMux, and a host that serves that mux to the world would expose them.
func (s *Server) profiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/{$}", profileIndex)
	mux.HandleFunc("GET /debug/pprof/{name}", s.profileByName)
	mux.HandleFunc("GET /debug/pprof/profile", s.profileCPU)
	mux.HandleFunc("GET /debug/pprof/trace", profileTrace)
	mux.HandleFunc("GET /debug/pprof/cmdline", profileCmdline)
	mux.HandleFunc("GET /debug/pprof/symbol", profileSymbol)
	mux.HandleFunc("POST /debug/pprof/symbol", profileSymbol)
}

// profileIndex lists what there is, as text: it needs no page of its own.
func profileIndex(w http.ResponseWriter, _ *http.Request) {
	all := pprof.Profiles()
	slices.SortFunc(all, func(a, b *pprof.Profile) int { return strings.Compare(a.Name(), b.Name()) })
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "profiles of this process: go tool pprof URL/debug/pprof/NAME, or ?debug=1 for text")
	fmt.Fprintln(w)
	for _, p := range all {
		fmt.Fprintf(w, "%8d  %s\n", p.Count(), p.Name())
	}
	fmt.Fprintf(w, "%8s  profile?seconds=30   CPU\n%8s  trace?seconds=1      execution trace, for go tool trace\n%8s  cmdline\n%8s  symbol\n", "", "", "", "")
}

// profileByName serves a profile of runtime/pprof: in the binary form for debug=0, else as text. One is taken at a time, for some stop the
// process.
func (s *Server) profileByName(w http.ResponseWriter, r *http.Request) {
	name, query := r.PathValue("name"), r.URL.Query()
	p := pprof.Lookup(name)
	if p == nil {
		fail(w, http.StatusNotFound, "not_found", fmt.Sprintf("no profile is called %.40q; /debug/pprof/ lists them", name))
		return
	}
	if query.Has("seconds") {
		badParameter(w, fmt.Errorf("seconds: %s is taken at one moment; allowed for profile and trace", name))
		return
	}
	debug := 0
	if text := query.Get("debug"); text != "" {
		var err error
		if debug, err = strconv.Atoi(text); err != nil || debug < 0 || debug > 2 {
			badParameter(w, fmt.Errorf("debug: %.40q; allowed are 0 (binary), 1 and 2 (text)", text))
			return
		}
	}
	gc, err := parseBool("gc", query.Get("gc"))
	if err != nil {
		badParameter(w, err)
		return
	}
	leave, ok := takeTurn(w, r, s.building, viewWait)
	if !ok {
		return
	}
	defer leave()
	if name == "heap" && gc {
		runtime.GC()
	}
	var body bytes.Buffer
	if err := p.WriteTo(&body, debug); err != nil {
		fail(w, http.StatusInternalServerError, "internal", name+": "+err.Error())
		return
	}
	leave()
	s.deliver(w, body.Len(), func() {
		if debug > 0 {
			sendAs(w, r, "text/plain; charset=utf-8", body.Bytes())
			return
		}
		attachment(w, name)
		w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
		_, _ = body.WriteTo(w) // an error is the peer's going away
	})
}

func attachment(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
}

// profileCPU takes its turn with the profiles of captures where there are any: the process has one profiler.
func (s *Server) profileCPU(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Captures == nil {
		record(w, r, "profile", 30*time.Second, pprof.StartCPUProfile, pprof.StopCPUProfile)
		return
	}
	d, ok := profileTime(w, r, "profile", 30*time.Second)
	if !ok {
		return
	}
	err := s.cfg.Captures.CPUProfile(r.Context(), w, d)
	switch {
	case errors.Is(err, capture.ErrBusy):
		fail(w, http.StatusConflict, "busy", err.Error())
	case errors.Is(err, capture.ErrClosed):
		fail(w, http.StatusServiceUnavailable, "unavailable", err.Error())
	}
}

func profileTrace(w http.ResponseWriter, r *http.Request) {
	record(w, r, "trace", time.Second, trace.Start, trace.Stop)
}

// record runs a profiler that the process has only one of, and stops it only if it was this call that started it.
func record(w http.ResponseWriter, r *http.Request, name string, d time.Duration, start func(io.Writer) error, stop func()) {
	d, ok := profileTime(w, r, name, d)
	if !ok {
		return
	}
	if err := start(w); err != nil {
		fail(w, http.StatusConflict, "busy", fmt.Sprintf("%s: %v", name, err))
		return
	}
	defer stop()
	pause(r.Context(), d)
}

// profileTime reads how long to record, and prepares the answer. When it returns false everything is said.
func profileTime(w http.ResponseWriter, r *http.Request, name string, d time.Duration) (time.Duration, bool) {
	if text := r.URL.Query().Get("seconds"); text != "" {
		sec, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(sec) || sec <= 0 || sec > maxProfile.Seconds() {
			badParameter(w, fmt.Errorf("seconds: %.40q; allowed are numbers above 0, up to %.0f", text, maxProfile.Seconds()))
			return 0, false
		}
		d = time.Duration(sec * float64(time.Second))
	}
	if r.Method == http.MethodHead {
		attachment(w, name)
		return 0, false
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d + answerTimeout))
	attachment(w, name)
	return d, true
}

// pause waits for d, or until the client goes or the server stops.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func profileCmdline(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, strings.Join(os.Args, "\x00"))
}

// profileSymbol names program counters, given in hexadecimal with + between them: old pprof tools ask, new ones find the names
// in the profile.
func profileSymbol(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	out := bufio.NewWriter(w)
	defer func() { _ = out.Flush() }()  // an error is the peer's going away
	fmt.Fprintln(out, "num_symbols: 1") // tools only look whether it is 0
	counters := r.URL.RawQuery
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		counters = string(body)
	}
	for word := range strings.SplitSeq(counters, "+") {
		pc, err := strconv.ParseUint(strings.TrimSpace(word), 0, 64)
		if err != nil || pc == 0 {
			continue
		}
		if f := runtime.FuncForPC(uintptr(pc)); f != nil {
			fmt.Fprintf(out, "%#x %s\n", pc, f.Name())
		}
	}
}
