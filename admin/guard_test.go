package admin_test

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/otelnet/agent/admin"
)

func TestPathsAnswerWithGuardedHeaders(t *testing.T) {
	s := start(t, admin.Config{Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("# metrics\n")) })})
	for _, tc := range []struct {
		path, kind string
		code       int
	}{
		{"/", "text/html; charset=utf-8", 200},
		{"/page/app.js", "text/javascript; charset=utf-8", 200},
		{"/page/app.css", "text/css; charset=utf-8", 200},
		{"/page/icon.svg", "image/svg+xml", 200},
		{"/page/none.js", "application/json", 404},
		{"/healthz", "text/plain; charset=utf-8", 200},
		{"/api/status", "application/json", 200},
		{"/api/history", "application/json", 200},
		{"/api/connections", "application/json", 404}, // none configured
		{"/api/v1/alerts", "application/json", 200},
		{"/api/v1/rules", "application/json", 200},
		{"/debug/pprof/", "text/plain; charset=utf-8", 200},
		{"/debug/pprof/goroutine", "application/octet-stream", 200},
		{"/metrics", "text/plain; charset=utf-8", 200},
		{"/nothing", "application/json", 404},
		{"/api/nothing/at/all", "application/json", 404},
	} {
		res := get(t, s, tc.path)
		if res.StatusCode != tc.code || res.Header.Get("Content-Type") != tc.kind {
			t.Errorf("%s: got %d %s, want %d %s", tc.path, res.StatusCode, res.Header.Get("Content-Type"), tc.code, tc.kind)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", tc.path, name, got, want)
			}
		}
		if strings.HasSuffix(tc.path, ".js") && tc.code == 200 || strings.HasSuffix(tc.path, ".css") {
			continue
		}
		policy, wanted := res.Header.Get("Content-Security-Policy"), []string{"default-src 'none'", "frame-ancestors 'none'"}
		if strings.HasPrefix(tc.path, "/api/") {
			if strings.Contains(policy, "script-src") {
				t.Errorf("%s: policy %q lets data run scripts", tc.path, policy)
			}
		} else {
			wanted = append(wanted, "script-src 'self'")
			if got := res.Header.Get("Referrer-Policy"); got != "no-referrer" {
				t.Errorf("%s: Referrer-Policy is %q, want no-referrer", tc.path, got)
			}
		}
		for _, want := range wanted {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: policy %q lacks %s", tc.path, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
			t.Errorf("%s: policy %q is not strict", tc.path, policy)
		}
	}
}

func TestHostAllowList(t *testing.T) {
	s := start(t, admin.Config{AllowedHosts: []string{"demo.internal"}})
	_, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		"localhost":              200,
		"localhost:" + port:      200,
		"LOCALHOST:" + port:      200,
		"localhost.:" + port:     200,
		"app.localhost:" + port:  200,
		"127.0.0.1:" + port:      200,
		"127.9.9.9":              200,
		"[::1]:" + port:          200,
		"[::1]":                  200,
		"demo.internal":          200,
		"demo.internal:80":       200,
		"evil.example:" + port:   403,
		"evil.example":           403,
		"127.0.0.1.evil.example": 403,
		"localhost.evil.example": 403,
		"192.0.2.1:" + port:      403,
	} {
		for _, path := range []string{"/healthz", "/", "/api/history"} {
			res := do(t, s, http.MethodGet, path, func(r *http.Request) { r.Host = host })
			if res.StatusCode != want {
				t.Errorf("host %s, %s: got %d, want %d", host, path, res.StatusCode, want)
			}
			if want == 403 && !strings.Contains(res.failure(t), "localhost") {
				t.Errorf("host %s: %s does not say what is allowed", host, res.body)
			}
		}
	}
}

func TestMethods(t *testing.T) {
	s := start(t, admin.Config{})
	for _, path := range []string{
		"/", "/page/app.js", "/healthz", "/login", "/api/status", "/api/history", "/api/stream", "/api/connections", "/api/v1/alerts",
		"/api/v1/rules", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile", "/debug/pprof/trace", "/debug/pprof/cmdline",
	} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
			res := do(t, s, method, path, nil)
			if res.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(res.Header.Get("Allow"), "GET") {
				t.Errorf("%s %s: got %d, Allow %q; want 405 and GET", method, path, res.StatusCode, res.Header.Get("Allow"))
			}
		}
	}
	if res := do(t, s, http.MethodHead, "/api/stream", nil); res.StatusCode != 200 || s.Viewers() != 0 {
		t.Errorf("HEAD of the stream: got %d and %d viewers, want 200 and none", res.StatusCode, s.Viewers())
	}
	body := do(t, s, http.MethodGet, "/api/status", func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1
	})
	if body.StatusCode != http.StatusBadRequest {
		t.Errorf("GET with a body: got %d, want 400", body.StatusCode)
	}
}

func TestOtherSitesMayOnlyLink(t *testing.T) {
	s := start(t, admin.Config{})
	for _, tc := range []struct {
		method, path, site, mode, dest, origin string
		want                                   int
	}{
		{"GET", "/api/history", "same-origin", "cors", "empty", "", 200},
		{"GET", "/", "none", "navigate", "document", "", 200},
		{"GET", "/", "cross-site", "navigate", "document", "", 200}, // a link in a chat
		{"GET", "/", "cross-site", "navigate", "iframe", "", 403},
		{"GET", "/api/history", "cross-site", "no-cors", "script", "", 403},
		{"GET", "/debug/pprof/profile", "cross-site", "no-cors", "image", "", 403},
		{"GET", "/debug/pprof/trace", "cross-site", "navigate", "document", "", 403},
		{"GET", "/api/history", "same-site", "cors", "empty", "", 403}, // another port of localhost
		{"POST", "/debug/pprof/symbol", "cross-site", "cors", "empty", "http://evil.example", 403},
		{"POST", "/debug/pprof/symbol", "", "", "", "http://evil.example", 403}, // an old browser
		{"POST", "/debug/pprof/symbol", "", "", "", "", 200},                    // a program
	} {
		res := do(t, s, tc.method, tc.path, func(r *http.Request) {
			for name, v := range map[string]string{"Sec-Fetch-Site": tc.site, "Sec-Fetch-Mode": tc.mode, "Sec-Fetch-Dest": tc.dest, "Origin": tc.origin} {
				if v != "" {
					r.Header.Set(name, v)
				}
			}
		})
		if res.StatusCode != tc.want {
			t.Errorf("%+v: got %d", tc, res.StatusCode)
		}
		if tc.want == 403 && !strings.Contains(res.failure(t), "another site") {
			t.Errorf("%+v: %s does not say why", tc, res.body)
		}
	}
}

func TestToken(t *testing.T) {
	const token = "correct horse battery"
	s := start(t, admin.Config{Token: token})
	login := get(t, s, "/login?token=correct+horse+battery")
	if login.StatusCode != http.StatusSeeOther || login.Header.Get("Location") != "/" || len(login.Cookies()) != 1 {
		t.Fatalf("login: got %d to %q with %d cookies, want 303 to / with one", login.StatusCode, login.Header.Get("Location"), len(login.Cookies()))
	}
	cookie := login.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || strings.Contains(cookie.Value, token) {
		t.Errorf("cookie %v: want HttpOnly, SameSite=Strict, and not the token itself", cookie)
	}
	if res := get(t, s, "/login?token=wrong"); res.StatusCode != http.StatusUnauthorized || len(res.Cookies()) != 0 {
		t.Errorf("login with a wrong token: got %d with %d cookies, want 401 with none", res.StatusCode, len(res.Cookies()))
	}
	for name, tc := range map[string]struct {
		path   string
		change func(*http.Request)
		want   int
	}{
		"nothing":        {"/", nil, 401},
		"nothing, api":   {"/api/history", nil, 401},
		"nothing, pprof": {"/debug/pprof/heap", nil, 401},
		"health":         {"/healthz", nil, 200},
		"bearer":         {"/api/history", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, 200},
		"wrong bearer":   {"/api/history", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token+"x") }, 401},
		"password":       {"/api/history", func(r *http.Request) { r.SetBasicAuth("any", token) }, 200},
		"wrong password": {"/api/history", func(r *http.Request) { r.SetBasicAuth(token, "any") }, 401},
		"cookie":         {"/", func(r *http.Request) { r.AddCookie(cookie) }, 200},
		"wrong cookie":   {"/", func(r *http.Request) { r.AddCookie(&http.Cookie{Name: cookie.Name, Value: token}) }, 401},
	} {
		res := do(t, s, http.MethodGet, tc.path, tc.change)
		if res.StatusCode != tc.want {
			t.Errorf("%s: got %d, want %d", name, res.StatusCode, tc.want)
		}
		if tc.want == 401 && res.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", name)
		}
	}
}

// With a token the server may listen on every interface, and be asked by any name: that of a Kubernetes service, say. A site that points its
// own name here has neither token nor cookie.
func TestAllInterfacesWithToken(t *testing.T) {
	const token = "correct horse battery"
	s := start(t, admin.Config{Addr: "0.0.0.0:0", Token: token})
	if !strings.HasPrefix(s.URL(), "http://localhost:") {
		t.Errorf("URL %s, want one that a browser can open", s.URL())
	}
	addr := s.Addr().(*net.TCPAddr)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+strconv.Itoa(addr.Port)+"/api/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		host, token string
		want        int
	}{
		{"127.0.0.1", token, 200},
		{"checkout.shop.svc:6060", token, 200},
		{"evil.example", "", 401},
		{"127.0.0.1", "", 401},
	} {
		req.Host = tc.host
		req.Header.Del("Authorization")
		if tc.token != "" {
			req.Header.Set("Authorization", "Bearer "+tc.token)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != tc.want {
			t.Errorf("host %s, token %q: got %d, want %d", tc.host, tc.token, res.StatusCode, tc.want)
		}
	}
}
