package admin

import (
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// Wrong tokens that one address may send: so many, and then one a second.
const (
	maxAttempts  = 20
	attemptEvery = time.Second
	maxAddresses = 4096 // remembered
)

// attempts bounds how fast tokens can be tried. It remembers, by address, until when the wrong ones so far are paid off.
type attempts struct {
	mu   sync.Mutex
	debt map[netip.Prefix]time.Time
}

// wait is how long the address has to wait until its token is looked at; 0 is not at all.
func (a *attempts) wait(from netip.Prefix, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	until, known := a.debt[from]
	if !known {
		return 0
	}
	return max(0, until.Sub(now)-(maxAttempts-1)*attemptEvery)
}

// wrong notes that the address sent a wrong token.
func (a *attempts) wrong(from netip.Prefix, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	until := a.debt[from]
	if until.Before(now) {
		until = now
	}
	if _, known := a.debt[from]; !known && len(a.debt) >= maxAddresses {
		for old, paid := range a.debt {
			if !paid.After(now) {
				delete(a.debt, old)
			}
		}
		if len(a.debt) >= maxAddresses {
			return // who has so many addresses is not held up by this
		}
	}
	if a.debt == nil {
		a.debt = make(map[netip.Prefix]time.Time)
	}
	a.debt[from] = until.Add(attemptEvery)
}

// origin is whom attempts are counted for: an address, of version 6 its network, within which a host may take any.
func origin(r *http.Request) netip.Prefix {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := ap.Addr().Unmap().WithZone(""), 64
	if addr.Is4() {
		bits = 32
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// checkToken compares a token that somebody typed or guessed. What cannot be guessed, the cookie, is not bounded: whoever tries tokens
// from an address cannot lock out who is in already. If it is not the right one, it answers and returns false.
func (s *Server) checkToken(w http.ResponseWriter, r *http.Request, token, otherwise string) bool {
	from, now := origin(r), time.Now()
	if left := s.attempts.wait(from, now); left > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(left/time.Second)+1))
		fail(w, http.StatusTooManyRequests, "limited", "too many wrong tokens came from this address")
		return false
	}
	if same(token, s.cfg.Token) {
		return true
	}
	s.attempts.wrong(from, now)
	unauthorized(w, otherwise)
	return false
}

func unauthorized(w http.ResponseWriter, text string) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="otelnet", Basic realm="otelnet"`)
	fail(w, http.StatusUnauthorized, "unauthorized", text)
}
