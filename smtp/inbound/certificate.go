package inbound

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"

	"straks/internal/pemfile"
)

// certificateCheck is how often the files are looked at, at most.
const certificateCheck = 10 * time.Second

// certificate is read again when its file or that of its key changes. While the two don't fit each
// other, the one before stays in use.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	changed [2]time.Time // of the files that were read last
	looked  time.Time
}

// newCertificate reads the files.
func newCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	c.changed, c.looked = c.times(), time.Now()
	pair, err := pemfile.Pair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	c.pair = &pair[0]
	return c, nil
}

// times returns when the files were changed.
func (c *certificate) times() (t [2]time.Time) {
	for i, path := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(path); err == nil {
			t[i] = info.ModTime()
		}
	}
	return t
}

// current returns the certificate in use.
func (c *certificate) current(now time.Time) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.looked) < certificateCheck {
		return c.pair
	}
	c.looked = now
	times := c.times()
	if times == c.changed {
		return c.pair
	}
	c.changed = times
	pair, err := pemfile.Pair(c.certFile, c.keyFile)
	if err != nil {
		c.log.Error("the certificate of the server for reports was changed and can't be used: the former one stays in use", "err", err)
		return c.pair
	}
	c.pair = &pair[0]
	c.log.Info("the certificate of the server for reports was read again", "not_after", c.pair.Leaf.NotAfter)
	return c.pair
}

// tls returns the configuration of STARTTLS.
func (c *certificate) tls() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return c.current(time.Now()), nil
	}}
}

// expires returns the Unix time at which the certificate in use expires.
func (c *certificate) expires() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return float64(c.pair.Leaf.NotAfter.Unix())
}
