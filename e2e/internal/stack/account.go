package stack

import (
	"os/user"
	"strconv"
	"testing"
)

// Account returns the ids of a user of this machine, or fails the test.
func Account(tb testing.TB, name string) (uid, gid uint32) {
	tb.Helper()
	account, err := user.Lookup(name)
	if err != nil {
		tb.Fatal(err)
	}
	u, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		tb.Fatal(err)
	}
	g, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		tb.Fatal(err)
	}
	return uint32(u), uint32(g)
}
