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

// authorized reports whether r carries the token in one of the ways that [Config] names, or none is needed. Where it does not, it answers.
func (s *Server) authorized(w http.ResponseWriter, r *http.Request) bool {
	const how = "a token is needed: Authorization: Bearer TOKEN, or visit /login?token=TOKEN"
	if s.cfg.Token == "" {
		return true
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return s.checkToken(w, r, token, how)
	}
	if _, password, ok := r.BasicAuth(); ok {
		return s.checkToken(w, r, password, how)
	}
	if c, err := r.Cookie(s.cookieName()); err == nil && same(c.Value, s.cookie) {
		return true
	}
	unauthorized(w, how)
	return false
}

// same compares in a time that tells nothing of where the two differ, and by hashes, so nothing of the length either.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// login trades the token in the URL for a cookie, and leads to the page so that the URL with the token leaves the address bar.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Token != "" {
		if !s.checkToken(w, r, r.URL.Query().Get("token"), "wrong token: /login?token=TOKEN") {
			return
		}
		http.SetCookie(w, &http.Cookie{
			Name: s.cookieName(), Value: s.cookie, Path: "/", MaxAge: 30 * 24 * 3600,
			HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.cert != nil,
		})
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
