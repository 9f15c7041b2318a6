package main

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// reloader is the part of the agent that reads the rules again.
type reloader interface{ ReloadRules() error }

// reloadOnHangup reads the rules file again at each SIGHUP, as Prometheus does. A file with a mistake is told and the
// old rules go on. The returned function ends it and waits.
func reloadOnHangup(a reloader, out *console) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	var running sync.WaitGroup
	running.Go(func() {
		for range hangups {
			if err := a.ReloadRules(); err != nil {
				out.logger.Error(oneLine(err))
			} else {
				out.event("rules read again")
			}
		}
	})
	return func() {
		signal.Stop(hangups)
		close(hangups)
		running.Wait()
	}
}
