package history

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// AppendJSON appends r as JSON, in the form that docs/api.md describes for /api/history: times are milliseconds since 1970,
// numbers that are absent are null, and the column of a bucket in which nothing was counted is [].
//
// It is written by hand for two reasons: JSON has no NaN, and a tick is encoded once a second.
func (r Result) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"start":`...)
	if r.Start.IsZero() {
		dst = append(dst, "null"...)
	} else {
		dst = strconv.AppendInt(dst, r.Start.UnixMilli(), 10)
	}
	dst = append(dst, `,"times":[`...)
	for i, t := range r.Times {
		dst = comma(dst, i)
		dst = strconv.AppendInt(dst, t.UnixMilli(), 10)
	}
	dst = append(dst, `],"gaps":[`...)
	for i, g := range r.Gaps {
		dst = comma(dst, i)
		dst = fmt.Appendf(dst, "[%d,%d]", g.From.UnixMilli(), g.To.UnixMilli())
	}
	dst = append(dst, `],"series":[`...)
	for i := range r.Series {
		dst = comma(dst, i)
		dst = appendSeries(dst, &r.Series[i])
	}
	return append(dst, `]}`...)
}

func appendSeries(dst []byte, sr *Series) []byte {
	dst = append(dst, `{"metric":`...)
	dst = appendValue(dst, sr.Metric)
	dst = append(dst, `,"unit":`...)
	dst = appendValue(dst, sr.Unit)
	dst = append(dst, `,"kind":"`...)
	dst = append(dst, sr.Kind.String()...)
	dst = append(dst, `","attributes":`...)
	dst = appendValue(dst, sr.Attributes)
	dst = append(dst, `,"values":`...)
	dst = appendNumbers(dst, sr.Values)
	if sr.Sums != nil {
		dst = append(dst, `,"sums":`...)
		dst = appendNumbers(dst, sr.Sums)
	}
	if sr.Buckets != nil {
		dst = append(dst, `,"bounds":`...)
		dst = appendNumbers(dst, sr.Bounds)
		dst = append(dst, `,"buckets":[`...)
		for b, column := range sr.Buckets {
			dst = comma(dst, b)
			dst = appendCounts(dst, column)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func comma(dst []byte, i int) []byte {
	if i > 0 {
		dst = append(dst, ',')
	}
	return dst
}

func appendNumbers(dst []byte, values []float64) []byte {
	dst = append(dst, '[')
	for i, v := range values {
		dst = comma(dst, i)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			dst = append(dst, "null"...)
		} else {
			dst = strconv.AppendFloat(dst, v, 'g', -1, 64)
		}
	}
	return append(dst, ']')
}

// appendCounts writes a column of a bucket; one that is all zero, as most are, becomes [].
func appendCounts(dst []byte, column []uint64) []byte {
	dst = append(dst, '[')
	end := len(dst)
	for i, n := range column {
		dst = comma(dst, i)
		dst = strconv.AppendUint(dst, n, 10)
		if n > 0 {
			end = 0
		}
	}
	if end > 0 {
		dst = dst[:end]
	}
	return append(dst, ']')
}

// appendValue appends v, which must be of a type that always encodes.
func appendValue(dst []byte, v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		return append(dst, "null"...)
	}
	return append(dst, body...)
}
