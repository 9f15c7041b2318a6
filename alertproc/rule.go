package alertproc

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// The parts of an instance. A ratio uses both.
const (
	partMain  = 0 // a ratio's bad, or all there is
	partTotal = 1
)

// The levels of a rule, in ascending order.
const (
	levelWarn = 0
	levelCrit = 1
)

var levelNames = [2]string{"warn", "crit"}

// rule is a Rule made ready: parsed, joined to its instruments, with the windows and the state of its instances.
// Fields above the line belong to whoever holds Processor.evalMu. Those below are changed with both locks held, so one
// is enough to read them.
type rule struct {
	Rule
	group     *group
	text      string // the condition in one line
	above     bool   // the direction of the thresholds
	levels    [2]*Threshold
	over      time.Duration
	limit     int
	slots     slots
	kind      kind  // of the instruments, once seen
	misfit    error // the instrument's kind does not suit the rule
	failure   error // what went wrong in this evaluation
	instances map[string]*instance
	skipped   map[string]struct{}
	asks      [2]*instrument // by part; nil where it asks for none
	calls     uint64         // of Func
	scratch   []uint64       // bucket counts of one window
	mu        *sync.Mutex    // Processor.mu

	// ---- guarded by mu too
	order       []*instance // in the order they were first seen
	labels      []text
	annotations []text
	active      map[string]*instance // by labelKey of the alert, see withLabels; nil until it is asked for
	status      ruleHealth
	observe     [2][]metric.ObserveOption // attributes of otelnet.alert.state, by level
}

type ruleHealth struct {
	err     error
	at      time.Time
	took    time.Duration
	skipped int
	seen    bool    // its metric was seen
	unknown [2]bool // by part: the metric was in no snapshot
}

// instance is one label set of a rule.
type instance struct {
	rule   *rule
	key    string
	by     labelTexts // the labels of the series
	parts  [2]accumulator
	series int    // how many series feed it
	call   uint64 // of the rule's function, that last returned it
	birth  uint64 // number of the first slot that knows it
	ring   []pair
	burn   *burnRings // with Burn
	folded pair       // of gauges: what came since the last slot
	read   reading
	state  instanceState
}

func newRule(r Rule, g *group, limit int, mu *sync.Mutex) *rule {
	c := &rule{
		Rule: r, group: g, text: r.query(), levels: [2]*Threshold{r.Warn, r.Crit}, over: r.Value.Over, limit: limit, mu: mu,
		instances: map[string]*instance{}, skipped: map[string]struct{}{},
		labels: parseTexts(r.Labels), annotations: parseTexts(r.Annotations),
	}
	if r.MaxInstances > 0 {
		c.limit = r.MaxInstances
	}
	if r.Ratio != nil {
		c.over = r.Ratio.Over
	}
	if c.Value.Aggregation == "" {
		c.Value.Aggregation = Last
	}
	if c.NoData == "" {
		c.NoData = NoDataKeep
	}
	if c.Burn != nil {
		c.levels = [2]*Threshold{Above(0), Above(0)} // the bounds come with the readings
	}
	if c.Absent > 0 {
		c.levels[levelCrit] = Above(0) // there is never a value
		c.NoData, c.After = NoDataFire, c.Absent
	}
	for _, t := range c.levels {
		if t != nil {
			c.above = t.Above != nil
		}
	}
	c.observe = stateAttributes(&r)
	if c.over > 0 {
		c.slots = newSlots(c.over, g.every)
	}
	return c
}

func (r *rule) wantsBuckets() bool { return r.Func == nil && r.Ratio == nil && r.Value.takesArg() }

// accepts tells whether the rule can use a metric of kind k, and remembers why not.
func (r *rule) accepts(metric string, k kind) bool {
	allowed, hint := false, ""
	switch {
	case r.Absent > 0:
		return true
	case r.Burn != nil:
		allowed, hint = k.counts(), "counters or histograms"
	case r.Ratio != nil:
		if r.kind != kindUnknown && r.kind.counts() != k.counts() {
			r.misfit = fmt.Errorf("%s is %s, and the ratio's other metric is %s: both must count, or neither", metric, k, r.kind)
			return false
		}
		allowed = k != kindSummary
	case r.Value.Aggregation == Last || r.Value.Aggregation == Min || r.Value.Aggregation == Max:
		allowed, hint = k == kindGauge || k == kindUpDown, "a gauge or an up-down counter"
	case r.Value.Aggregation == Mean:
		allowed, hint = k != kindCounter && k != kindSummary, "a gauge, an up-down counter or a histogram"
	case r.Value.Aggregation == Rate || r.Value.Aggregation == Increase:
		allowed, hint = k.counts(), "a counter or a histogram"
	default:
		allowed, hint = k == kindHistogram || k == kindExponential, "a histogram"
	}
	if allowed && r.kind != kindUnknown && r.Ratio == nil && r.kind != k {
		r.misfit = fmt.Errorf("%s comes both as %s and as %s", metric, r.kind, k)
		return false
	}
	if !allowed {
		r.misfit = fmt.Errorf("%s is %s, and %s needs %s", metric, k, r.aggregation(), hint)
		return false
	}
	r.kind = k
	return true
}

func (r *rule) aggregation() string {
	if r.Burn != nil {
		return "burn"
	}
	if r.Ratio != nil {
		return "ratio"
	}
	return string(r.Value.Aggregation)
}

// instance returns the instance a series belongs to, making it if it is new. It is nil above the limit.
func (r *rule) instance(texts labelTexts) *instance {
	if len(r.By) == 0 {
		if inst := r.instances[""]; inst != nil {
			return inst
		}
		return r.add("", nil)
	}
	if texts.overflow() {
		// Not to be taken for the series that lack these attributes.
		if inst := r.instances[keyOverflow]; inst != nil {
			return inst
		}
		return r.add(keyOverflow, labelTexts{{overflowAttribute, "true"}})
	}
	var key strings.Builder
	for _, attr := range r.By {
		v := texts.get(attr)
		fmt.Fprintf(&key, "%d:%s", len(v), v)
	}
	if inst := r.instances[key.String()]; inst != nil {
		return inst
	}
	by := make(labelTexts, 0, len(r.By))
	for _, attr := range r.By {
		if v := texts.get(attr); v != "" {
			by = append(by, labelText{attr, v})
		}
	}
	return r.add(key.String(), by)
}

// keyOverflow is the key of the instance of the overflow series. No real key begins like it.
const keyOverflow = "+"

func (r *rule) add(key string, by labelTexts) *instance {
	if len(r.order) >= r.limit {
		if len(r.skipped) < r.limit {
			r.skipped[key] = struct{}{}
		}
		return nil
	}
	inst := &instance{rule: r, key: key, by: by, birth: r.slots.next, folded: pair{math.NaN(), 0}}
	inst.parts[partMain].owner, inst.parts[partTotal].owner = inst, inst
	inst.allocate()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.insert(inst)
	return inst
}

// insert puts an instance into the rule. Readers of the alerts go through order, so it needs the state lock.
func (r *rule) insert(inst *instance) {
	r.instances[inst.key] = inst
	r.order = append(r.order, inst)
}

// allocate makes room for the instance's window.
func (inst *instance) allocate() {
	r := inst.rule
	switch {
	case r.Burn != nil:
		inst.burn = newBurnRings()
	case r.over == 0:
	case r.wantsBuckets():
		inst.parts[partMain].hist = newHistogramTotals(len(r.slots.at), inst.birth)
	default:
		inst.ring = make([]pair, len(r.slots.at))
	}
}

// data tells whether the part that decides about presence has data.
func (inst *instance) data(tick uint64) bool {
	if inst.rule.Ratio != nil {
		return inst.parts[partTotal].present(tick)
	}
	return inst.parts[partMain].present(tick)
}
