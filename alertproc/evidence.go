package alertproc

import (
	"maps"

	"go.opentelemetry.io/otel"

	"github.com/otelnet/agent/internal/guard"
)

// annotationCapture is the annotation that says where an alert's evidence is.
const annotationCapture = "capture"

// worsening is a change that evidence is wanted of.
type worsening struct {
	change int // its index among those of the evaluation
	inst   *instance
}

// wantsEvidence says whether an alert has begun to fire, or has become worse, whose rule asks for evidence.
func (t *Transition) wantsEvidence() bool {
	if t.To != StateFiring || len(t.Alert.Capture) == 0 {
		return false
	}
	return t.From != StateFiring || t.FromSeverity == levelNames[levelWarn]
}

// gather has the evidence of the evaluation's changes recorded, and notes where it is before anybody is told.
func (p *Processor) gather(changes []Transition) {
	if p.base.Evidence == nil {
		return
	}
	for _, w := range p.worse {
		t := &changes[w.change]
		e := p.ask(*t)
		if e == (Evidence{}) {
			continue // of one that got worse, the evidence that there is stays
		}
		t.Alert.show(e)
		p.mu.Lock()
		w.inst.state.evidence = e
		past := w.inst.state.past
		past[len(past)-1] = *t
		p.mu.Unlock()
	}
}

func (p *Processor) ask(t Transition) (e Evidence) {
	if err := guard.Call("alertproc: Config.Evidence", func() error { e = p.base.Evidence(t); return nil }); err != nil {
		otel.Handle(err)
	}
	return e
}

// show puts evidence into an alert. Its annotations may be in use elsewhere, so they are copied.
func (a *Alert) show(e Evidence) {
	if e == (Evidence{}) {
		return
	}
	old := a.Evidence.String()
	a.Evidence = e
	if text, own := a.Annotations[annotationCapture]; own && text != old {
		return // the rule's
	}
	a.Annotations = maps.Clone(a.Annotations)
	if a.Annotations == nil {
		a.Annotations = map[string]string{}
	}
	a.Annotations[annotationCapture] = e.String()
}
