package admin

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"sync"
)

//go:embed page
var pageFiles embed.FS

// page holds the page's files, compressed once at the start.
type page struct {
	files map[string]asset
}

type asset struct {
	body, zipped []byte
	kind         string
	etag         string
}

// bundles are the scripts that the documents load, by the modules that they begin with. What they are made of is served beside them,
// to be read.
var bundles = map[string]string{"app": "page.js", "capture": "capturepage.js"}

// loadPage takes some 15 ms, once in a process.
var loadPage = sync.OnceValues(readPage)

func readPage() (*page, error) {
	p := &page{files: make(map[string]asset)}
	entries, err := fs.ReadDir(pageFiles, "page")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		body, err := fs.ReadFile(pageFiles, path.Join("page", e.Name()))
		if err != nil {
			return nil, err
		}
		if err := p.add(e.Name(), slim(e.Name(), body)); err != nil {
			return nil, err
		}
	}
	for entry, name := range bundles {
		script, err := bundle(entry, func(module string) ([]byte, error) {
			body, err := fs.ReadFile(pageFiles, "page/"+module+".js")
			return slim(module+".js", body), err
		})
		if err != nil {
			return nil, err
		}
		if err := p.add(name, dropBlankLines(script)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// add compresses a file and keeps both forms.
func (p *page) add(name string, body []byte) error {
	var z bytes.Buffer
	zw, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := zw.Write(body); err != nil {
		return err
	}
	if err := zw.Close(); err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	p.files[name] = asset{body: body, zipped: z.Bytes(), kind: contentType(name), etag: hex.EncodeToString(sum[:8])}
	return nil
}

func dropBlankLines(body []byte) []byte {
	var out []byte
	for line := range bytes.Lines(body) {
		if len(bytes.TrimSpace(line)) > 0 {
			out = append(out, line...)
		}
	}
	return out
}

// slim takes comments and indentation out of scripts and style, a sixth of the page's weight on the wire. Lines stay where they are,
// so a browser's debugger names those of the source. Of comments behind code it takes those that hold no quote, after whole strings.
func slim(name string, body []byte) []byte {
	script := path.Ext(name) == ".js"
	if !script && path.Ext(name) != ".css" {
		return body
	}
	lines := bytes.Split(body, []byte("\n"))
	for i, line := range lines {
		line = bytes.TrimSpace(line)
		if script {
			line = withoutComment(line)
		}
		lines[i] = line
	}
	return bytes.Join(lines, []byte("\n"))
}

func withoutComment(line []byte) []byte {
	if bytes.HasPrefix(line, []byte("//")) {
		return nil
	}
	i := bytes.LastIndex(line, []byte(" // "))
	if i < 0 || bytes.ContainsAny(line[i:], "\"'`") {
		return line
	}
	for _, quote := range []string{`"`, "'", "`"} {
		if bytes.Count(line[:i], []byte(quote))%2 != 0 {
			return line
		}
	}
	return bytes.TrimSpace(line[:i])
}

// contentType knows the page's own kinds of file, so that the answer does not depend on the machine's mime tables.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return mime.TypeByExtension(path.Ext(name))
}

// capture serves the document of one capture, and of the list of them. It may hold frames of our own: pprof's pages.
func (p *page) capture(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy+"; frame-src 'self'")
	p.serve(w, r, "capture.html")
}

func (p *page) index(w http.ResponseWriter, r *http.Request) { p.serve(w, r, "index.html") }

func (p *page) file(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if ext := path.Ext(name); p.files[name].body != nil && (ext == ".js" || ext == ".css") {
		// What only documents obey would make up a quarter of the page's weight here.
		for _, h := range []string{"Content-Security-Policy", "Cross-Origin-Opener-Policy", "Referrer-Policy"} {
			w.Header().Del(h)
		}
	}
	p.serve(w, r, name)
}

func (p *page) serve(w http.ResponseWriter, r *http.Request, name string) {
	a, ok := p.files[name]
	if !ok {
		fail(w, http.StatusNotFound, "not_found", "the page has no such file")
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "no-cache") // ask each time: a restarted service may be a newer one
	h.Set("Vary", "Accept-Encoding")
	body, etag := a.body, `"`+a.etag+`"`
	if acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body, etag = a.zipped, `"`+a.etag+`-gzip"`
	}
	h.Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // an error is the peer's going away
}
