package otelnet

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestAnswersAreUnchanged sends the same bytes to a server without and with instrumentation, and compares what comes back.
func TestAnswersAreUnchanged(t *testing.T) {
	file := t.TempDir() + "/file"
	writeFile(t, file, 10_000)
	mux := http.NewServeMux()
	for pattern, h := range map[string]http.HandlerFunc{
		"/file": func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) },
		"/part": func(w http.ResponseWriter, _ *http.Request) {
			f, err := os.Open(file)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			io.CopyN(w, f, 1234)
		},
		"/hints": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</style.css>")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusProcessing)
			io.WriteString(w, "done")
		},
		"/status/{code}": func(w http.ResponseWriter, r *http.Request) {
			code := 0
			fmt.Sscan(r.PathValue("code"), &code)
			w.WriteHeader(code)
			_, err := io.WriteString(w, "text")
			if wantErr := code == 204 || code == 304; errors.Is(err, http.ErrBodyNotAllowed) != wantErr {
				t.Errorf("write after %d: got %v", code, err)
			}
		},
		"/trailer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "One")
			io.WriteString(w, "text")
			w.Header().Set("One", "1")
			w.Header().Set(http.TrailerPrefix+"Two", "2")
		},
		"/echo": func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			fmt.Fprint(w, string(b), err, r.Trailer)
		},
		"/refuse": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusExpectationFailed) },
		"/duplex": func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			soon := time.Now().Add(10 * time.Second)
			errs := errors.Join(c.EnableFullDuplex(), c.SetReadDeadline(soon), c.SetWriteDeadline(soon))
			io.WriteString(w, "first")
			errs = errors.Join(errs, c.Flush())
			b, err := io.ReadAll(r.Body)
			fmt.Fprint(w, string(b), errors.Join(errs, err))
		},
		"/abort": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "text")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"/hijack": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "before")
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			rw.WriteString("raw")
			rw.Flush()
		},
		"/late": http.TimeoutHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
			time.Millisecond, "late").ServeHTTP,
		"/long": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			if _, err := io.WriteString(w, "text"); err != http.ErrContentLength {
				t.Errorf("write past Content-Length: got %v", err)
			}
		},
		"/sniff":          func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, strings.NewReader("<html>")) },
		"/tree/":          func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Method, r.URL, r.RequestURI) },
		"GET host.test/h": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Pattern) },
	} {
		mux.HandleFunc(pattern, h)
	}

	bare := httptest.NewServer(mux)
	defer bare.Close()
	addresses := map[string]string{}
	for name, h := range map[string]http.Handler{
		"sizes":             NewHandler(mux, "x", WithBodySizes(), newMeter(t).option()),
		"routes and labels": NewHandler(Routes(mux), "x", WithProfileLabels(), newMeter(t).option()),
	} {
		srv := &http.Server{Handler: h}
		Instrument(srv)
		addresses[name] = serve(t, srv, false, newMeter(t).option()).Addr().String()
	}
	for _, request := range []string{
		"GET /file", "GET /file|Range: bytes=5-14", "HEAD /file", "GET /part", "GET /hints", "GET /status/204", "GET /status/304",
		"GET /status/599", "HEAD /status/200", "GET /trailer", "POST /echo|Content-Length: 3||abc",
		"POST /echo|Expect: 100-continue|Content-Length: 3||abc", "POST /refuse|Expect: 100-continue|Content-Length: 3||",
		"POST /echo|Transfer-Encoding: chunked|Trailer: X||3|abc|0|X: y||", "POST /duplex|Content-Length: 3||abc", "GET /abort",
		"GET /hijack", "GET /late", "GET /long", "GET /sniff", "HEAD /sniff", "GET /tree", "GET //tree/x", "GET http://other.test/tree/x",
		"GET /h", "POST /h", "OPTIONS *", "CONNECT shop.test:443", "GET /nowhere", "BREW /tree/x",
	} {
		want := rawAnswer(t, bare.Listener.Addr().String(), request)
		for name, address := range addresses {
			if got := rawAnswer(t, address, request); got != want {
				t.Errorf("%s, %s:\ngot  %q\nwant %q", request, name, got, want)
			}
		}
	}
}

var dateHeader = regexp.MustCompile("\r\nDate: [^\r]*")

// rawAnswer sends a request, written with | for the ends of lines, and returns everything up to the close.
func rawAnswer(t *testing.T, address, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	line, rest, _ := strings.Cut(request, "|")
	text := line + " HTTP/1.1|Host: host.test|Connection: close|" + rest
	if !strings.Contains(rest, "||") {
		text += "||"
	}
	io.WriteString(c, strings.ReplaceAll(text, "|", "\r\n"))
	b, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("%s: %v", request, err)
	}
	return dateHeader.ReplaceAllString(string(b), "")
}
