package config

import "straks/orders/sealed"

// checkKeys checks the keys, and reads them.
func (j *Journal) checkKeys(c *checker) {
	c.Unless(j.KeyFile != "" || j.FormerKeyFile == "", "former_key_file", "has no use without key_file: give both, or neither")
	if j.KeyFile == "" || c.file.sealed {
		return
	}
	j.keys = sealed.Keys{Current: c.journalKey("key_file", j.KeyFile), Former: c.journalKey("former_key_file", j.FormerKeyFile)}
	if j.keys.Current != nil && j.keys.Former != nil {
		c.Unless(!j.keys.Former.Equal(*j.keys.Current), "former_key_file", "holds the same key as key_file")
	}
}

// journalKey reads a key of the journal; nil where there is none.
func (c *checker) journalKey(name, path string) *sealed.Key {
	text := c.secret(name, path)
	if text == "" {
		return nil
	}
	key, err := sealed.ParseKey(text)
	if err != nil {
		c.Add(name, "holds what %v", err)
		return nil
	}
	return &key
}

// Keys returns the keys that encrypt recipients in the journal. They are not read by LoadSealed.
func (j *Journal) Keys() sealed.Keys { return j.keys }
