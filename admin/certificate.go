package admin

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificateAge is how long a certificate is served before its files are looked at again.
const certificateAge = 10 * time.Second

// certificate is a key pair on disk that is read again when its files change, as they do when a short-lived certificate is renewed.
type certificate struct {
	certFile, keyFile string

	mu      sync.Mutex
	pair    *tls.Certificate
	stamp   [2]fileStamp
	checked time.Time
}

// fileStamp tells two versions of a file apart.
type fileStamp struct {
	modified time.Time
	size     int64
}

// loadCertificate reads the pair a first time. The error names both files and the cause.
func loadCertificate(certFile, keyFile string) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c, c.load(time.Now())
}

// get is the tls.Config.GetCertificate of a server. While the files are being replaced, or are broken, the last good pair is served.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) >= certificateAge {
		_ = c.load(now) // told nowhere: a client sees the date of what it gets
	}
	return c.pair, nil
}

// load reads the files if they are not those that were read last. c.mu is held.
func (c *certificate) load(now time.Time) error {
	c.checked = now
	stamp := [2]fileStamp{stampOf(c.certFile), stampOf(c.keyFile)}
	if c.pair != nil && stamp == c.stamp {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("admin: certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	c.pair, c.stamp = &pair, stamp
	return nil
}

func stampOf(name string) fileStamp {
	info, err := os.Stat(name)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{info.ModTime(), info.Size()}
}
