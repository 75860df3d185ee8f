package pemfile

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"sync"
	"time"
)

// Files are certificates that follow their files: those to trust, and our own with its key. Any goroutine
// may call its methods.
type Files struct {
	// Report gets why files that have changed can't be used, once for each reason in a row. It may be nil,
	// and is set before the first call of Current.
	Report func(error)

	paths [3]string // authorities, certificate, key; empty for none

	mu     sync.Mutex
	stamps [3]Stamp // of the files in use
	roots  *x509.CertPool
	pair   []tls.Certificate
	told   string // the last reason that was reported; empty since files were read
}

// Stamp changes when a file does. It is zero for one that is not there.
type Stamp struct {
	modified time.Time
	size     int64
	id       any // of the file, where the system has one: see os.SameFile
}

// Open reads the files. Each path may be empty; certificate and key go together.
func Open(authorities, certificate, key string) (*Files, error) {
	f := &Files{paths: [3]string{authorities, certificate, key}}
	return f, f.read(f.stat())
}

// Current returns the certificates of the files as they are now; those read before, while the files can't be
// used, as between the replacement of a certificate and that of its key. Nil stands for the authorities of the system.
func (f *Files) Current() (authorities *x509.CertPool, own []tls.Certificate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.stat(); now != f.stamps {
		if err := f.read(now); err != nil && err.Error() != f.told {
			f.told = err.Error()
			if f.Report != nil {
				f.Report(err)
			}
		}
	}
	return f.roots, f.pair
}

// Own returns our certificate as Current does; nil if there is none.
func (f *Files) Own() *tls.Certificate {
	if _, own := f.Current(); len(own) > 0 {
		return &own[0]
	}
	return nil
}

// read reads the files, which have these stamps.
func (f *Files) read(now [3]Stamp) error {
	roots, err := Pool(f.paths[0])
	if err != nil {
		return err
	}
	pair, err := Pair(f.paths[1], f.paths[2])
	if err != nil {
		return err
	}
	f.roots, f.pair, f.stamps, f.told = roots, pair, now, ""
	return nil
}

func (f *Files) stat() (stamps [3]Stamp) {
	for i, path := range f.paths {
		if path != "" {
			stamps[i] = StampOf(path)
		}
	}
	return stamps
}

// StampOf returns the stamp of the file at the path.
func StampOf(path string) Stamp {
	info, err := os.Stat(path)
	if err != nil {
		return Stamp{}
	}
	return Stamp{info.ModTime(), info.Size(), inode(info)}
}
