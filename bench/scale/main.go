// Command scale measures, in one run on one machine, what a fleet of services is made of, and does the arithmetic for fleets of
// other sizes:
//
//   - what an agent costs against the number of its series: a tick, an export, memory;
//   - what a point takes on the wire, with and without compression;
//   - how many points a second one core of a Collector takes from many simulated agents, as agent tier and as gateway.
//
// The Collector is the real program with the files of deploy/collector; what is counted is its CPU time as the kernel accounts it, so the
// simulation may share the machine with it.
//
//	go run ./scale -collector "$(../e2e/build.sh)"                 about four minutes
//	go run ./scale -collector PATH -doc ../docs/scale.md           also puts the tables into the document
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/otelnet/agent/bench/internal/tables"
)

// effort is how long a run takes.
type effort struct {
	series  []int         // of an agent, for its cost
	ticks   int           // measured at each
	agents  int           // simulated ones at a Collector
	traffic time.Duration // how long they send
}

var (
	full = effort{series: []int{100, 500, 2000, 10000}, ticks: 100, agents: 200, traffic: 20 * time.Second}
	tiny = effort{series: []int{20, 40}, ticks: 3, agents: 3, traffic: time.Second} // for the test
)

func main() {
	collector := flag.String("collector", "", "the Collector's `program`, as e2e/build.sh prints it; without it that part is left out")
	root := flag.String("root", "..", "the repository's `directory`")
	doc := flag.String("doc", "", "also put the tables into this `file`, between its markers")
	sink := flag.Bool("sink", false, "used by the program itself: take everything and keep nothing")
	flag.Parse()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q: there are only flags, see -help", flag.Arg(0))
	case *sink:
		err = serveSink(os.Stdout, os.Stdin)
	case *doc != "" && *collector == "":
		err = errors.New("-doc takes all tables: name the -collector")
	default:
		err = run(*collector, *root, *doc)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(collector, root, doc string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	r, err := measure(ctx, full, collector, root)
	if err != nil {
		return err
	}
	text := r.markdown()
	fmt.Print(text)
	if doc == "" {
		return nil
	}
	return place.Put(doc, text)
}

// place is where the document has the tables.
var place = tables.Place{Begin: "<!-- tables: make scale writes what follows -->\n", End: "<!-- end of tables -->\n"}

// measure takes every number of a run.
func measure(ctx context.Context, e effort, collector, root string) (*report, error) {
	r := &report{effort: e, begun: time.Now()}
	sink, err := startSink(ctx)
	if err != nil {
		return nil, err
	}
	defer sink.stop()
	for _, n := range e.series {
		cost, err := measureAgent(ctx, sink.grpc, n, e.ticks)
		if err != nil {
			return nil, fmt.Errorf("agent with %d series: %w", n, err)
		}
		r.agents = append(r.agents, cost)
	}
	load, err := newPayload(ctx, seriesOfService)
	if err != nil {
		return nil, err
	}
	if r.wire, err = measureWire(ctx, load); err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	if collector != "" {
		for _, tier := range tiers(sink) {
			cost, err := measureCollector(ctx, collector, root, tier, load, e)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", tier.name, err)
			}
			r.tiers = append(r.tiers, cost)
		}
	}
	r.took = time.Since(r.begun)
	return r, nil
}
