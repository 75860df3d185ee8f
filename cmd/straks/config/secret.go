package config

import (
	"os"
	"path/filepath"
	"strings"
)

// locate returns the path of a secret: as it is, or in the folder in which
// systemd puts credentials where it is a bare name.
func (c *checker) locate(name, path string) string {
	if path == "" || strings.ContainsRune(path, filepath.Separator) {
		return path
	}
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		c.fault(name, "is the name of a credential, but $CREDENTIALS_DIRECTORY is not set: "+
			"use LoadCredential= in the unit, set the variable, or give a path")
		return ""
	}
	return filepath.Join(dir, path)
}

// private warns of a secret that everybody can read.
func (c *checker) private(name, path string, info os.FileInfo) {
	if info.Mode().Perm()&0o004 != 0 {
		c.warn(name, "names %s, which everybody on this machine can read", path)
	}
}

// sealed stands for a password that was not read.
const sealed = "sealed"

// maxSecret is more than any password has.
const maxSecret = 4096

// secret reads a password from the file that the key names. The line end that
// editors leave is no part of it.
func (c *checker) secret(name, path string) string {
	if c.found.sealed && path != "" {
		return sealed
	}
	path = c.locate(name, path)
	if path == "" {
		return ""
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		c.fault(name, "can't be read: %v", err)
		return ""
	case !info.Mode().IsRegular() || info.Size() > maxSecret:
		c.fault(name, "names %s, which is no file of at most %d octets", path, maxSecret)
		return ""
	}
	c.private(name, path, info)
	text, err := os.ReadFile(path)
	if err != nil {
		c.fault(name, "can't be read: %v", err)
		return ""
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" {
		c.fault(name, "names %s, which is empty", path)
	}
	return password
}
