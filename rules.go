package agent

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/otelnet/agent/alertproc"
	"github.com/otelnet/agent/otelnet"
	"github.com/otelnet/agent/runtimemetrics"
)

// knownMetrics are those that may come, so that a rule on one needs no warning while nothing was recorded.
func knownMetrics() []string {
	return slices.Concat(otelnet.MetricNames(), runtimemetrics.MetricNames(),
		[]string{
			metricTickDuration, metricExports, metricExportFailures,
			metricSpoolRequests, metricSpoolSize, metricSpoolSent, metricSpoolDropped, metricSpoolRejected,
		})
}

// loadRules reads the rules files and joins them with the rules and notifiers given in Go. The error names every
// mistake in every file.
func loadRules(c config) (alertproc.Config, error) {
	all := alertproc.Config{Bounds: otelnet.BucketBounds(), Known: knownMetrics(), StateFile: c.stateFile}
	var errs []error
	parts := slices.Clone(c.rules)
	for _, path := range c.ruleFiles {
		part, err := alertproc.LoadFile(path)
		if err != nil {
			if path == env(envRules, "") {
				err = fmt.Errorf("%s: %w", envRules, err)
			}
			errs = append(errs, err)
			continue
		}
		parts = append(parts, part)
	}
	for _, part := range parts {
		all.Groups = append(all.Groups, part.Groups...)
		all.Notify = append(all.Notify, part.Notify...)
		all.HTTPClient = cmp.Or(all.HTTPClient, part.HTTPClient)
		all.Logger = cmp.Or(all.Logger, part.Logger)
		all.StateFile = cmp.Or(all.StateFile, part.StateFile)
		if all.LoggerProvider == nil {
			all.LoggerProvider = part.LoggerProvider
		}
		all.ExternalURL = cmp.Or(all.ExternalURL, part.ExternalURL)
		maps.Copy(all.Bounds, part.Bounds)
		all.Known = append(all.Known, part.Known...)
		all.MaxInstances = max(all.MaxInstances, part.MaxInstances)
	}
	for _, n := range c.notifiers {
		all.Notify = append(all.Notify, alertproc.Notify{Notifier: n})
	}
	if len(all.Groups) > 0 && len(all.Notify) == 0 {
		// Rules that tell nobody are hardly meant.
		all.Notify = []alertproc.Notify{{Log: &alertproc.LogNotify{}}}
	}
	all.Logger = cmp.Or(all.Logger, c.logger)
	return all, errors.Join(errs...)
}
