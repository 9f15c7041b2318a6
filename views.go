package agent

import (
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelnet/agent/alertproc"
)

// views are those of the option, and those that put the rules' thresholds on bucket bounds.
//
// Where a view of the user's matches an instrument, the rules' one steps back: with both, the SDK would record two
// streams of the same name. Likewise where histograms are to be exponential, which have no bounds to choose.
func views(user []sdkmetric.View, rules alertproc.Config, exponential bool) []sdkmetric.View {
	all := append([]sdkmetric.View(nil), user...)
	if exponential {
		return all
	}
	for _, v := range alertproc.Views(rules) {
		all = append(all, unlessMatched(v, user))
	}
	return all
}

func unlessMatched(v sdkmetric.View, others []sdkmetric.View) sdkmetric.View {
	return func(i sdkmetric.Instrument) (sdkmetric.Stream, bool) {
		for _, other := range others {
			if _, matched := other(i); matched {
				return sdkmetric.Stream{}, false
			}
		}
		return v(i)
	}
}
