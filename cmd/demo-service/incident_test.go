package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestIncidentIsStagedOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &database{}
		begin := time.Now()
		var told []time.Duration
		stage(t.Context(), 30*time.Second, 25*time.Second, db.cacheLost.Store, func(begins bool) {
			told = append(told, time.Since(begin))
			if begins != db.cacheLost.Load() && begins {
				t.Error("told of the incident before it was there")
			}
		})
		if len(told) != 2 || told[0] != 30*time.Second || told[1] != 55*time.Second {
			t.Errorf("told at %v, want at 30s and 55s", told)
		}
		if db.cacheLost.Load() {
			t.Error("the incident goes on after its end")
		}
	})
}

func TestIncidentEndsWithTheProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, life := range []time.Duration{time.Second, 35 * time.Second} {
			db := &database{}
			ctx, cancel := context.WithTimeout(t.Context(), life)
			begin := time.Now()
			stage(ctx, 30*time.Second, 25*time.Second, db.cacheLost.Store, func(bool) {})
			cancel()
			if took := time.Since(begin); took != life {
				t.Errorf("stage returned after %v, want %v", took, life)
			}
		}
	})
}

func TestLookupInAndOutOfTheIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &database{}
		count := func() (failed int, took time.Duration) {
			begin := time.Now()
			for range 10 {
				if err := db.lookup(t.Context(), dataDelay); errors.Is(err, errDatabaseBusy) {
					failed++
				} else if err != nil {
					t.Errorf("lookup: %v", err)
				}
			}
			return failed, time.Since(begin) / 10
		}
		if failed, took := count(); failed != 0 || took != 10*time.Millisecond {
			t.Errorf("before: %d of 10 failed, %v each, want none and 10ms", failed, took)
		}
		db.cacheLost.Store(true)
		if failed, took := count(); failed != 4 || took != 310*time.Millisecond {
			t.Errorf("in the incident: %d of 10 failed, %v each, want 4 and 310ms", failed, took)
		}
		db.cacheLost.Store(false)
		if failed, took := count(); failed != 0 || took != 10*time.Millisecond {
			t.Errorf("afterwards: %d of 10 failed, %v each, want none and 10ms", failed, took)
		}
	})
}
