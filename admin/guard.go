package admin

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// policy lets the page load its own files and nothing else. Without 'unsafe-inline' a text that slipped into the markup cannot run.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// dataPolicy is for answers that are no document: should a browser show one, nothing in it may do anything.
const dataPolicy = "default-src 'none'; frame-ancestors 'none'"

// isData tells paths whose answers are read by programs. What documents alone obey is left out there: the page asks for seven of them
// when it is opened. Views of captures are documents.
func isData(path string) bool {
	return strings.HasPrefix(path, "/api/") && !strings.HasPrefix(path, "/api/captures/")
}

// guard stands before every handler: it checks where a request comes from and bounds what it may cost.
func (s *Server) guard(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { refuseOtherSite(w) }))
	next = protection.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer recoverTo(w)
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if isData(r.URL.Path) {
			h.Set("Content-Security-Policy", dataPolicy)
		} else {
			h.Set("Content-Security-Policy", policy)
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("Cross-Origin-Opener-Policy", "same-origin")
		}
		h.Set("Cache-Control", "no-store") // the page's files override it
		if !s.hostAllowed(r) {
			fail(w, http.StatusForbidden, "forbidden", fmt.Sprintf(
				"host %.100q is not served here without a token: use localhost, a loopback address or the configured name", r.Host))
			return
		}
		if !fetchAllowed(r) {
			refuseOtherSite(w)
			return
		}
		if r.URL.Path != "/healthz" && r.URL.Path != "/login" && !s.authorized(w, r) {
			return
		}
		if r.ContentLength != 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			h.Set("Connection", "close") // what follows is not read
			fail(w, http.StatusBadRequest, "bad_data", "a "+r.Method+" request has no body here")
			return
		}
		if s.inFlight.Add(1) > maxRequests {
			s.inFlight.Add(-1)
			fail(w, http.StatusServiceUnavailable, "unavailable", fmt.Sprintf("more than %d requests at once", maxRequests))
			return
		}
		defer s.inFlight.Add(-1)
		rc := http.NewResponseController(w)
		_ = rc.SetWriteDeadline(time.Now().Add(answerTimeout)) // a connection has deadlines
		if r.ContentLength != 0 {
			_ = rc.SetReadDeadline(time.Now().Add(answerTimeout)) // for the body; the next request has its own
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		next.ServeHTTP(w, r)
	})
}

// recoverTo turns a panic of a handler into a 500: the host service must not die of its page.
func recoverTo(w http.ResponseWriter) {
	switch v := recover(); v {
	case nil:
	case http.ErrAbortHandler:
		panic(v)
	default:
		// If the answer has begun, net/http ignores the status, and the reader sees broken JSON.
		fail(w, http.StatusInternalServerError, "internal", fmt.Sprintf("panic: %.200v", v))
	}
}

// hostAllowed defends against DNS rebinding: a site can point its own name at 127.0.0.1, but it cannot make the browser send our
// name as Host. With a token any name will do, that of a Kubernetes service for one: a browser has the token, or the cookie, only for names
// that somebody logged in under.
func (s *Server) hostAllowed(r *http.Request) bool {
	if s.cfg.Token != "" {
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	return isLoopback(host) || strings.HasSuffix(host, ".localhost") ||
		slices.ContainsFunc(s.cfg.AllowedHosts, func(a string) bool { return host != "" && strings.EqualFold(a, host) })
}

func refuseOtherSite(w http.ResponseWriter) {
	fail(w, http.StatusForbidden, "forbidden", "refused: a page of another site asked for this")
}

// fetchAllowed keeps other sites from making the browser ask here, an <img> on a foreign page that starts a CPU profile for one.
// Following a link is fine where it costs little. Programs send no Sec-Fetch headers.
func fetchAllowed(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return true
	}
	navigation := r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	return navigation && !costly(r.URL.Path)
}

// costly tells the paths that take a profile, or read one.
func costly(path string) bool {
	return strings.HasPrefix(path, "/debug/pprof/") || strings.HasPrefix(path, "/api/captures/") && strings.Count(path, "/") > 4
}
