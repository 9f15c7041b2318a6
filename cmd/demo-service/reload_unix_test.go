//go:build unix

package main

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

type reloads chan error

func (r reloads) ReloadRules() error { return <-r }

func TestReloadOnHangup(t *testing.T) {
	var mu sync.Mutex
	var text bytes.Buffer
	w := writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return text.Write(p)
	})
	answers := make(reloads)
	stop := reloadOnHangup(answers, newConsole(w, w, false))
	for _, answer := range []error{nil, errors.New("rules.yaml:3: unknown key\nrules.yaml:4: too")} {
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		select {
		case answers <- answer:
		case <-time.After(30 * time.Second):
			t.Fatal("no reload within 30s of SIGHUP")
		}
	}
	stop()
	got := text.String()
	for _, want := range []string{"rules read again", "rules.yaml:3: unknown key; rules.yaml:4: too"} {
		if !strings.Contains(got, want) {
			t.Errorf("console lacks %q:\n%s", want, got)
		}
	}
}
