package spool

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// verdict is what to do about an attempt.
type verdict struct {
	again bool          // send it again; else the record is settled, sent or refused
	after time.Duration // not before; 0 if the receiver did not say
}

// judge follows OTLP's specification: which gRPC codes and HTTP statuses ask for a repetition. An error that is neither is the
// network's, which will be back.
func judge(err error) verdict {
	if err == nil {
		return verdict{}
	}
	if refused, ok := err.(*httpError); ok {
		return refused.judge()
	}
	state, ok := status.FromError(err)
	if !ok {
		return verdict{again: true}
	}
	asked, after := retryInfo(state)
	switch state.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		return verdict{again: true, after: after}
	case codes.ResourceExhausted:
		return verdict{again: asked, after: after} // without a pause named it means that the request is too large
	default:
		return verdict{}
	}
}

func retryInfo(s *status.Status) (bool, time.Duration) {
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return true, max(0, info.GetRetryDelay().AsDuration())
		}
	}
	return false, 0
}

// httpError is an answer that is no success.
type httpError struct {
	reply *httpReply
}

func (e *httpError) Error() string {
	body := strings.TrimSpace(string(e.reply.body))
	return fmt.Sprintf("HTTP status %d: %.200q", e.reply.status, body)
}

func (e *httpError) judge() verdict {
	switch e.reply.status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return verdict{again: true, after: retryAfter(e.reply.header.Get("Retry-After"), time.Now())}
	default:
		return verdict{}
	}
}

// retryAfter reads the header: seconds, or a date.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(value); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
