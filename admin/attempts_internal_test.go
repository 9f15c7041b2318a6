package admin

import (
	"net/http"
	"net/netip"
	"testing"
	"time"
)

// An address pays off a wrong token each second, and what is remembered has a bound.
func TestAttempts(t *testing.T) {
	var a attempts
	from := netip.MustParsePrefix("192.0.2.1/32")
	now := time.Now()
	for range maxAttempts {
		if left := a.wait(from, now); left != 0 {
			t.Fatalf("has to wait %v within the first %d", left, maxAttempts)
		}
		a.wrong(from, now)
	}
	if left := a.wait(from, now); left != attemptEvery {
		t.Errorf("after %d: has to wait %v, want %v", maxAttempts, left, attemptEvery)
	}
	if left := a.wait(netip.MustParsePrefix("192.0.2.2/32"), now); left != 0 {
		t.Errorf("its neighbour has to wait %v", left)
	}
	if left := a.wait(from, now.Add(attemptEvery)); left != 0 {
		t.Errorf("%v later: has to wait %v", attemptEvery, left)
	}
	for i := range 2 * maxAddresses {
		a.wrong(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32), now)
	}
	if len(a.debt) > maxAddresses {
		t.Errorf("%d addresses are remembered, want at most %d", len(a.debt), maxAddresses)
	}
	a.wrong(from, now.Add(time.Hour))
	a.wrong(netip.MustParsePrefix("198.51.100.1/32"), now.Add(time.Hour))
	if len(a.debt) > 2 {
		t.Errorf("an hour later %d addresses are remembered, want the newest", len(a.debt))
	}
}

func TestOrigin(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:5000": "192.0.2.1/32", "[::ffff:192.0.2.1]:5000": "192.0.2.1/32",
		"[2001:db8:1:2:3:4:5:6]:5000": "2001:db8:1:2::/64", "[fe80::1%eth0]:5000": "fe80::/64", "@": "invalid Prefix",
	} {
		if got := origin(&http.Request{RemoteAddr: remote}).String(); got != want {
			t.Errorf("%s: got %s, want %s", remote, got, want)
		}
	}
}
