// Command bench measures what otelnet costs, beside a bare service and beside its peers, all in one run, and prints
// one table.
//
//	go run .                 every scenario, in about five minutes
//	go run . -quick          the same with fewer and shorter rounds, about a minute
//	go run . -only 'accept'  the scenarios whose name matches
//	go run . -doc FILE       also put the table into FILE, between its markers
//	go run . -profile DIR    also write a CPU profile of every subject of every scenario
//
// Every subject of a scenario lives in a process of its own, so that none of them pays for another's garbage, global
// state or ticks; the rounds go to them in turn. What is compared is the CPU time of that process, as the kernel
// accounts it, not the time on the wall. All traffic is loopback.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"time"
)

// effort is how long a run takes.
type effort struct {
	rounds int           // of each subject
	round  time.Duration // how long one is to take
	limit  time.Duration // for everything
}

var (
	full  = effort{rounds: 15, round: 100 * time.Millisecond, limit: 15 * time.Minute}
	quick = effort{rounds: 5, round: 40 * time.Millisecond, limit: 5 * time.Minute}
)

func main() {
	fast := flag.Bool("quick", false, "fewer and shorter rounds")
	only := flag.String("only", "", "measure only the scenarios whose name matches this `regexp`")
	doc := flag.String("doc", "", "also put the table into this `file`, between its markers")
	profile := flag.String("profile", "", "write CPU profiles of all subjects into this `directory`")
	job := flag.String("worker", "", "used by the program itself: measure this subject")
	flag.Parse()

	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q: there are only flags, see -help", flag.Arg(0))
	case *job != "":
		err = serve(*job)
	case *doc != "" && *only != "":
		err = errors.New("-doc takes the whole table: leave -only out")
	default:
		err = run(*fast, *only, *doc, *profile)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(fast bool, only, doc, profile string) error {
	match, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	e := full
	if fast {
		e = quick
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, e.limit)
	defer cancel()

	files, err := raiseFileLimit()
	if err != nil {
		return err
	}
	env, err := newEnvironment(ctx, profile)
	if err != nil {
		return err
	}
	defer env.close()

	begun := time.Now()
	report := newReport(e)
	for _, g := range groups() {
		for _, s := range g.scenarios {
			if !match.MatchString(s.name) {
				continue
			}
			if s.files > files {
				fmt.Fprintf(os.Stderr, "%s: left out, it needs %d open files and %d are allowed\n", s.name, s.files, files)
				continue
			}
			fmt.Fprintf(os.Stderr, "%5.0f s  %s\n", time.Since(begun).Seconds(), s.name)
			results, err := measure(env, s, e)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			report.add(g, s, results)
		}
	}
	report.took = time.Since(begun)
	fmt.Print(report.text())
	if doc != "" {
		return place.Put(doc, report.markdown())
	}
	return nil
}
