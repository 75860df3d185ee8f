package issuer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// saved is the form in which keys outlive a restart. They are public: the file needs protection from
// changes only.
type saved struct {
	Issuer  string            `json:"issuer"`
	JWKSURL string            `json:"jwksUrl,omitempty"`
	Read    time.Time         `json:"read"`
	Keys    []json.RawMessage `json:"keys"`
}

// marshal returns the keys as a JWK set.
func marshal(keys []jose.JSONWebKey) ([]byte, error) {
	return json.Marshal(jose.JSONWebKeySet{Keys: keys})
}

// save writes the keys to their file, each time they were read: their age counts after a restart too. A failure
// matters only to a restart in an outage of the issuer. Nobody waits for the disk: Run alone changes the keys.
func (r *keyring) save() {
	if r.cfg.SavedKeys == "" {
		return
	}
	if err := r.write(); err != nil {
		r.log.Warn("issuer's keys can't be saved: after a restart they must be read again first", "err", err)
	}
}

func (r *keyring) write() error {
	r.mu.Lock()
	s, keys := saved{Issuer: r.cfg.Issuer, JWKSURL: r.cfg.JWKSURL, Read: r.read}, r.keys
	r.mu.Unlock()
	for _, k := range keys {
		text, err := k.MarshalJSON()
		if err != nil {
			return err
		}
		s.Keys = append(s.Keys, text)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(r.cfg.SavedKeys), ".keys-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), r.cfg.SavedKeys)
}

// restore reads the keys that an earlier process saved for the same issuer.
func (r *keyring) restore() {
	if r.cfg.SavedKeys == "" {
		return
	}
	text, err := os.ReadFile(r.cfg.SavedKeys)
	if err != nil {
		return // the first start, most likely; Run reads the keys
	}
	var s saved
	if json.Unmarshal(text, &s) != nil || s.Issuer != r.cfg.Issuer || s.JWKSURL != r.cfg.JWKSURL || s.Read.After(r.now()) {
		return
	}
	set, err := json.Marshal(struct {
		Keys []json.RawMessage `json:"keys"`
	}{s.Keys})
	if err != nil {
		return
	}
	if keys, err := parseSet(set); err == nil {
		r.keys, r.read = keys, s.Read
	}
}
