package config

import (
	"os"
	"path/filepath"
	"time"
)

// Audit is the record of who did what.
type Audit struct {
	Dir       string        // folder of its files, an absolute path; made if its parent exists. Empty: there is no audit
	Retention time.Duration // of a day's file: 365d
}

func (a *Audit) setDefaults() { *a = Audit{Retention: 365 * day} }

func (a *Audit) check(c *checker) {
	c.Duration("retention", a.Retention, day, 3650*day)
	if a.Dir == "" {
		return
	}
	if !filepath.IsAbs(a.Dir) {
		c.Add("dir", "is %q, must be an absolute path", a.Dir)
		return
	}
	info, err := os.Stat(filepath.Dir(a.Dir))
	c.Unless(err != nil || info.IsDir(), "dir", "is %q, whose parent is no folder", a.Dir)
}
