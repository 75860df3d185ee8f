package clientcert

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"straks/internal/bounded"
)

// Config is who vouches for which certificates.
type Config struct {
	Authorities []Authority // none: no certificate is asked for
	Rules       []Rule
	Grace       time.Duration // for which lists may be out of date
}

// Verifier identifies callers by their certificates. Any goroutine may call its methods.
type Verifier struct {
	log *slog.Logger
	now func() time.Time

	current atomic.Pointer[snapshot]
	looked  atomic.Int64 // when the files were last looked at, in unix ns
	mu      sync.Mutex   // held while files are read; guards the following
	rules   []Rule
	told    map[string]string    // by the key of an authority: the last reason why its files can't be used
	warned  map[string]time.Time // likewise: when it was last said that a list is out of date
}

// New returns a verifier. Its error has all faults of the files.
func New(c Config, log *slog.Logger) (*Verifier, error) {
	v := &Verifier{log: log, now: time.Now, told: make(map[string]string), warned: make(map[string]time.Time)}
	return v, v.Set(c)
}

// Set puts a configuration in the place of the one in use, which stays where the error is not nil.
func (v *Verifier) Set(c Config) error {
	use, err := v.Prepare(c)
	if err == nil {
		use()
	}
	return err
}

// Prepare reads all files of a configuration. What it returns puts the configuration in the place of the one in use.
func (v *Verifier) Prepare(c Config) (use func(), err error) {
	var authorities []*authority
	var faults []error
	for _, from := range c.Authorities {
		a, err := read(from)
		authorities, faults = append(authorities, a), append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	s, err := newSnapshot(authorities, c.Rules, c.Grace)
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.rules = c.Rules
		clear(v.told)
		v.current.Store(s)
	}, err
}

// Asks reports whether clients are asked for certificates.
func (v *Verifier) Asks() bool { return v != nil && len(v.current.Load().authorities) > 0 }

// Identify returns for whom the first of the certificates that a client has sent stands. The client must have shown
// that it has the key, which every TLS handshake does. The error says why it stands for nobody.
func (v *Verifier) Identify(certs []*x509.Certificate) (Identity, error) {
	v.follow()
	s, now, h := v.current.Load(), v.now(), sha256.New()
	for _, c := range certs {
		h.Write(c.Raw)
	}
	sum := [sha256.Size]byte(h.Sum(nil))
	if o, ok := s.outcomes.Get(sum); ok && now.Before(o.until) {
		return o.who, o.err
	}
	who, until, err := s.identify(certs, now)
	if err != nil {
		until = now.Add(refusedFor)
	}
	s.outcomes.Put(sum, outcome{who, err, until})
	return who, err
}

// lookEvery is how often the files are looked at.
const lookEvery = time.Second

// follow reads the files that have changed. Those that can't be used leave what was read before in use, which is
// logged once for each reason.
func (v *Verifier) follow() {
	now := v.now()
	if now.UnixNano()-v.looked.Load() < int64(lookEvery) || !v.mu.TryLock() {
		return
	}
	defer v.mu.Unlock()
	v.looked.Store(now.UnixNano())
	old := v.current.Load()
	authorities, changed := slices.Clone(old.authorities), false
	for i, a := range authorities {
		v.warnOfLists(a, now)
		if slices.Equal(a.stamps, a.stampsNow()) {
			continue
		}
		renewed, err := read(a.Authority)
		if err != nil {
			v.tell(a.Key, err)
			continue
		}
		authorities[i], changed = renewed, true
		delete(v.told, a.Key)
	}
	if !changed {
		return
	}
	s, err := newSnapshot(authorities, v.rules, old.grace)
	if err != nil {
		v.tell("", err)
		return
	}
	v.current.Store(s)
	v.log.Info("authorities of client certificates and their lists read again")
}

// tell logs why files can't be used. Under mu.
func (v *Verifier) tell(key string, err error) {
	if v.told[key] != err.Error() {
		v.told[key] = err.Error()
		v.log.Error("files of client certificates have changed and can't be used; what was read before stays in use", "key", key, "err", err)
	}
}

// warnEvery is how often it is said that a list is out of date.
const warnEvery = time.Hour

// warnOfLists logs lists that are out of date. Under mu.
func (v *Verifier) warnOfLists(a *authority, now time.Time) {
	until := a.listsUntil()
	if until.IsZero() || now.Before(until) || now.Sub(v.warned[a.Key]) < warnEvery {
		return
	}
	v.warned[a.Key] = now
	v.log.Warn("list of revoked client certificates is out of date: fetch a new one", "key", a.Key+".client_crl_files",
		"out_of_date_since", until.UTC().Format(time.RFC3339), "refused_from", until.Add(v.current.Load().grace).UTC().Format(time.RFC3339))
}

// listsUntil returns when the first list is out of date; zero: there is none. Of an authority that has several, the
// last counts.
func (a *authority) listsUntil() (first time.Time) {
	last := make(map[string]time.Time)
	for _, l := range a.lists {
		if name := string(l.crl.RawIssuer); l.Until.After(last[name]) {
			last[name] = l.Until
		}
	}
	for _, until := range last {
		if first.IsZero() || until.Before(first) {
			first = until
		}
	}
	return first
}

// refusedFor is for how long the outcome of a certificate that was refused is kept.
const refusedFor = 5 * time.Second

// maxOutcomes bounds each half of the outcomes. One takes some 400 octets.
const maxOutcomes = 4096

// outcomes are kept by the SHA-256 of the certificates.
type outcomes = bounded.Map[[sha256.Size]byte, outcome]

type outcome struct {
	who   Identity
	err   error
	until time.Time
}
