package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync/atomic"
	"time"
)

// The incident's story: the cache in front of the database is lost. Each lookup then computes its answer and waits in
// the queue of a database that is too busy, and two in five give up.
const (
	queueDelay   = 300 * time.Millisecond // waiting for the database
	failing, per = 2, 5                   // of the lookups
)

// computeWork is how many hashes a lookup without the cache takes: a few milliseconds, which a profile shows clearly.
// Tests lower it, as the race detector makes it many times as long.
var computeWork = 15_000

var errDatabaseBusy = errors.New("database busy")

// database is what /api/data and /api/users ask. It is quick, as long as its cache is there.
type database struct {
	cacheLost atomic.Bool
	lookups   atomic.Int64 // since the cache was lost first
}

// lookup takes d, and much longer in an incident. It ends early with ctx.
func (db *database) lookup(ctx context.Context, d time.Duration) error {
	if db.cacheLost.Load() {
		return db.lookupWithoutCache(ctx, d)
	}
	return wait(ctx, d)
}

// lookupWithoutCache is where a profile or a goroutine dump taken in the incident points to.
func (db *database) lookupWithoutCache(ctx context.Context, d time.Duration) error {
	computeAnswer()
	if err := wait(ctx, d+queueDelay); err != nil {
		return err
	}
	if db.lookups.Add(1)%per < failing {
		return errDatabaseBusy
	}
	return nil
}

// computeAnswer keeps a processor busy for a moment.
func computeAnswer() {
	var sum [sha256.Size]byte
	for range computeWork {
		sum = sha256.Sum256(sum[:])
	}
}

// wait returns after d, or with ctx's error when it ends first.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
