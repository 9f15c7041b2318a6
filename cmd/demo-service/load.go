package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxWorkers = 128              // jobs at once; with all of them busy a job is skipped
	jobTimeout = 10 * time.Second // for one job
	loadGrace  = time.Second      // for jobs under way when the generator is stopped
)

// job is one kind of thing that the generator does.
type job struct {
	name   string
	weight int // how often in a round, compared with the others
	do     func(ctx context.Context) error
}

// generator does jobs at a steady rate.
type generator struct {
	jobs  []job
	rate  int           // jobs/s
	grace time.Duration // for jobs under way when it is stopped

	started, failed, skipped atomic.Int64
}

// run does jobs until ctx ends and then waits for those under way, cutting them off after the grace period. With a
// rate of 0 it does nothing at all.
func (g *generator) run(ctx context.Context) {
	if g.rate == 0 {
		<-ctx.Done()
		return
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	queue := make(chan job)
	var workers sync.WaitGroup
	for range min(maxWorkers, max(16, 2*g.rate)) {
		workers.Go(func() {
			for j := range queue {
				g.do(work, j)
			}
		})
	}
	g.pace(ctx, queue)
	close(queue)
	cut := time.AfterFunc(g.grace, cancel)
	defer cut.Stop()
	workers.Wait()
}

func (g *generator) do(ctx context.Context, j job) {
	ctx, cancel := context.WithTimeout(ctx, jobTimeout)
	defer cancel()
	g.started.Add(1)
	if j.do(ctx) != nil {
		g.failed.Add(1)
	}
}

// pace hands out jobs at the rate until ctx ends. A pause of the whole process is not made up for by a burst of more
// than a tenth of a second's jobs.
func (g *generator) pace(ctx context.Context, queue chan<- job) {
	next := rotation(g.jobs)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	last := time.Now()
	var due float64
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			due += now.Sub(last).Seconds() * float64(g.rate)
			due = min(due, max(1, float64(g.rate)/10))
			last = now
		}
		for ; due >= 1; due-- {
			select {
			case queue <- next():
			default:
				g.skipped.Add(1)
			}
		}
	}
}

// rotation returns a function that gives each job as often as its weight says, spread evenly: of the jobs, the one that
// is furthest behind its share comes next. Two runs are alike, which chance would not be.
func rotation(jobs []job) func() job {
	var total int
	for _, j := range jobs {
		total += j.weight
	}
	behind := make([]int, len(jobs))
	return func() job {
		best := 0
		for i, j := range jobs {
			behind[i] += j.weight
			if behind[i] > behind[best] {
				best = i
			}
		}
		behind[best] -= total
		return jobs[best]
	}
}
