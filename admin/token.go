package admin

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
)

// cookieName is the cookie's name; over TLS the prefix makes browsers refuse one that was set without it.
func (s *Server) cookieName() string {
	if s.cert != nil {
		return "__Host-otelnet_admin"
	}
	return "otelnet_admin"
}

// cookieValue is derived from the token, so that the server keeps no sessions and the browser does not hold the token itself.
func cookieValue(token string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("otelnet admin cookie"))
	return hex.EncodeToString(mac.Sum(nil))
}

// authorized reports whether r carries the token in one of the ways that [Config] names, or none is needed.
func (s *Server) authorized(r *http.Request) bool {
	if s.cfg.Token == "" {
		return true
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return same(token, s.cfg.Token)
	}
	if _, password, ok := r.BasicAuth(); ok {
		return same(password, s.cfg.Token)
	}
	c, err := r.Cookie(s.cookieName())
	return err == nil && same(c.Value, s.cookie)
}

// same compares in a time that tells nothing of where the two differ, and by hashes, so nothing of the length either.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// login trades the token in the URL for a cookie, and leads to the page so that the URL with the token leaves the address bar.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Token != "" {
		if !same(r.URL.Query().Get("token"), s.cfg.Token) {
			fail(w, http.StatusUnauthorized, "unauthorized", "wrong token: /login?token=TOKEN")
			return
		}
		http.SetCookie(w, &http.Cookie{
			Name: s.cookieName(), Value: s.cookie, Path: "/", MaxAge: 30 * 24 * 3600,
			HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.cert != nil,
		})
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
