package admin

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// fail answers with one error in the form that Prometheus' API uses, for all paths alike.
func fail(w http.ResponseWriter, code int, kind, text string) {
	body, err := json.Marshal(struct {
		Status    string `json:"status"`
		ErrorType string `json:"errorType"`
		Error     string `json:"error"`
	}{"error", kind, text})
	if err != nil {
		return // strings always encode
	}
	h := w.Header()
	h.Del("Content-Encoding")
	h.Del("Content-Disposition")
	h.Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // the peer may be gone
}

func badParameter(w http.ResponseWriter, err error) {
	fail(w, http.StatusBadRequest, "bad_data", err.Error())
}

// respond answers with v as JSON.
func respond(w http.ResponseWriter, r *http.Request, v any) { respondStatus(w, r, http.StatusOK, v) }

func respondStatus(w http.ResponseWriter, r *http.Request, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		fail(w, http.StatusInternalServerError, "internal", "encode the answer: "+err.Error())
		return
	}
	sendStatus(w, r, jsonType, code, body)
}

var gzipWriters = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(io.Discard, gzip.DefaultCompression) // a valid level gives no error
	return z
}}

const jsonType = "application/json"

// send answers with JSON.
func send(w http.ResponseWriter, r *http.Request, body []byte) { sendAs(w, r, jsonType, body) }

// sendAs answers with a body of any kind.
func sendAs(w http.ResponseWriter, r *http.Request, kind string, body []byte) {
	sendStatus(w, r, kind, http.StatusOK, body)
}

// sendStatus answers with a body, compressed where it is worth it and the client takes it.
func sendStatus(w http.ResponseWriter, r *http.Request, kind string, code int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Vary", "Accept-Encoding")
	if len(body) < 1400 || !acceptsGzip(r) { // one packet either way
		h.Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(code)
		_, _ = w.Write(body)
		return
	}
	h.Set("Content-Encoding", "gzip")
	w.WriteHeader(code)
	zip(w, func(z io.Writer) error { _, err := z.Write(body); return err })
}

// zip compresses to w what fill writes. An error of w's is the peer's going away.
func zip(w io.Writer, fill func(io.Writer) error) {
	z := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(z)
	z.Reset(w)
	if fill(z) == nil {
		_ = z.Close()
	}
}

// acceptsGzip reads Accept-Encoding as far as anyone uses it: a listed gzip counts unless its weight is 0.
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.TrimSpace(name) == "gzip" {
			q, ok := strings.CutPrefix(strings.TrimSpace(weight), "q=")
			f, err := strconv.ParseFloat(q, 64)
			return !ok || err != nil || f > 0
		}
	}
	return false
}
