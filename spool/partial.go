package spool

import (
	colmetric "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// partial returns what a receiver left out of a request that it took. The responses for metrics, traces and logs have the same fields
// under the same numbers, so one type reads them all. Anything that is none is taken for a full success, as exporters do.
func (r reply) partial() (rejected int64, message string) {
	if len(r.message) == 0 {
		return 0, ""
	}
	var response colmetric.ExportMetricsServiceResponse
	if err := proto.Unmarshal(r.message, &response); err != nil {
		return 0, ""
	}
	return response.GetPartialSuccess().GetRejectedDataPoints(), response.GetPartialSuccess().GetErrorMessage()
}
