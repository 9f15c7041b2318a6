package admin

import (
	"compress/gzip"
	"io"
	"net/http"
	"path"
	"time"

	"github.com/otelnet/agent/capture"
)

const (
	downloadTimeout = 5 * time.Minute
	traceFile       = "trace.out" // what go tool trace opens; it is stored gzipped
	maxUnpacked     = 512 << 20   // of a download
)

// captureFile answers /api/captures/{id}/{file}: JSON for a program or the page, anything else to be saved.
func (s *Server) captureFile(w http.ResponseWriter, r *http.Request) {
	m, ok := s.manifest(w, r.PathValue("id"))
	if !ok {
		return
	}
	file := r.PathValue("file")
	stored, unpack := file, false
	if file == traceFile {
		stored, unpack = capture.Trace.File(), true
	}
	f, err := s.cfg.Captures.Open(m.ID, stored)
	if err != nil {
		captureError(w, m, stored, err)
		return
	}
	defer f.Close()                                                                     //nolint:errcheck // only read
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(downloadTimeout)) // a connection has deadlines
	switch {
	case path.Ext(file) == ".json":
		sendFile(w, r, jsonType, f)
	case unpack:
		serveUnpacked(w, r, m.ID+"-"+file, f)
	default:
		attachment(w, m.ID+"-"+file)
		http.ServeContent(w, r, "", m.At, f)
	}
}

// sendFile sends a file that may be large as it is read, compressed where the client takes it.
func sendFile(w http.ResponseWriter, r *http.Request, kind string, f io.Reader) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Vary", "Accept-Encoding")
	from := &noting{r: f}
	if acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		zip(w, func(z io.Writer) error { _, err := io.Copy(z, from); return err })
	} else {
		_, _ = io.Copy(w, from) // an error of w's is the peer's going away
	}
	if from.err != nil {
		panic(http.ErrAbortHandler) // the reader must not take what it got for the whole
	}
}

// serveUnpacked sends a gzipped file as what is in it. A client that takes gzip gets the bytes as they are stored.
func serveUnpacked(w http.ResponseWriter, r *http.Request, name string, f io.Reader) {
	attachment(w, name)
	h := w.Header()
	h.Set("Vary", "Accept-Encoding")
	if acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		_, _ = io.Copy(w, f) // an error is the peer's going away
		return
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		fail(w, http.StatusInternalServerError, "internal", "unpack "+name+": "+err.Error())
		return
	}
	if r.Method == http.MethodHead {
		return
	}
	from := &noting{r: io.LimitReader(z, maxUnpacked)}
	_, _ = io.Copy(w, from) // an error of w's is the peer's going away
	if from.err != nil {
		panic(http.ErrAbortHandler) // a damaged file: the reader must not take what it got for the whole
	}
}

// noting remembers what went wrong with reading.
type noting struct {
	r   io.Reader
	err error
}

func (n *noting) Read(b []byte) (int, error) {
	k, err := n.r.Read(b)
	if err != nil && err != io.EOF {
		n.err = err
	}
	return k, err
}
