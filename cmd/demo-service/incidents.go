package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// incident is something that goes wrong and comes right again.
type incident struct {
	name         string
	begins, ends string // what the console says
	set          func(s *shop, echo *echoServer, on bool)
	// load, where there is one, adds to the demo's own until ctx ends.
	load func(ctx context.Context, c *clients)
}

// theIncident is the one that takes place if no other is named.
const theIncident = "cache"

// incidents can be named by -incident.
var incidents = []incident{
	{
		name:   theIncident,
		begins: "the cache is lost, each lookup waits 300 ms for the database, two in five give up",
		ends:   "the cache is back",
		set:    func(s *shop, _ *echoServer, on bool) { s.db.cacheLost.Store(on) },
	},
	{
		name:   "mutex",
		begins: "the stock's journal is written under the lock that every /api/data takes",
		ends:   "the journal is written elsewhere again",
		set:    func(s *shop, _ *echoServer, on bool) { s.stock.journal.Store(on) },
	},
	{
		name:   "hotloop",
		begins: "/api/users ranks everybody against everybody, for a tenth of a second of CPU time a request",
		ends:   "the ranking is quick again",
		set:    func(s *shop, _ *echoServer, on bool) { s.ranking.naive.Store(on) },
	},
	{
		name:   "leak",
		begins: "the audit log is gone, and each /api/data leaves a goroutine that waits for it",
		ends:   "the audit log is back, and lets them go",
		set:    func(s *shop, _ *echoServer, on bool) { s.audit.lose(on) },
	},
	{
		name:   "heap",
		begins: "/api/data remembers each of its answers, 256 KiB a request",
		ends:   "the answers are forgotten",
		set:    func(s *shop, _ *echoServer, on bool) { s.recent.keepAll(on) },
	},
	{
		name:   "downstream",
		begins: "the warehouse, which /api/stock asks, takes 1.5 s for an answer",
		ends:   "the warehouse is quick again",
		set:    func(s *shop, _ *echoServer, on bool) { s.warehouse.slow.Store(on) },
	},
	{
		name:   "backlog",
		begins: "the echo server accepts nobody, and 30 a second want to connect",
		ends:   "the echo server accepts again",
		set:    func(_ *shop, echo *echoServer, on bool) { echo.stall(on) },
		load:   crowd,
	},
}

func findIncident(name string) incident {
	i := slices.IndexFunc(incidents, func(i incident) bool { return i.name == name })
	return incidents[i]
}

func incidentNames() []string {
	names := make([]string, len(incidents))
	for i := range incidents {
		names[i] = incidents[i].name
	}
	return names
}

// stage lets an incident begin after a while and end again, telling when it does. It returns early, with everything in
// order, when ctx ends.
func stage(ctx context.Context, after, lasting time.Duration, set func(on bool), tell func(begins bool)) {
	if wait(ctx, after) != nil {
		return
	}
	set(true)
	defer set(false)
	tell(true)
	if wait(ctx, lasting) == nil {
		tell(false)
	}
}

// crowd connects to the echo server 30 times a second. Nobody waits for longer than it lasts, and no more than 200 do.
func crowd(ctx context.Context, c *clients) {
	if c.tcp == "" {
		return
	}
	call := c.echo("tcp", c.tcp)
	slots := make(chan struct{}, 200)
	var callers sync.WaitGroup
	defer callers.Wait()
	for wait(ctx, time.Second/30) == nil {
		select {
		case slots <- struct{}{}:
		default:
			continue
		}
		callers.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, jobTimeout)
			defer cancel()
			_ = call(ctx) // that it fails is the point
		})
	}
}

// listed is a text such as "a, b or c".
func listed(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
