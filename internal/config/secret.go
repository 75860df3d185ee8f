package config

import (
	"errors"
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

// secret reads a password from the file that the key names.
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
	password, err := ParsePassword(text)
	if err != nil {
		c.fault(name, "names %s, which %v", path, err)
	}
	return password
}

// byteOrderMarks are what some editors put before a text: in UTF-8, and in UTF-16, whose
// octets no UTF-8 has.
var byteOrderMarks = []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"}

// ParsePassword returns the password that a file holds. The line end that editors leave
// is no part of it. Its error reads on after the file's name. What an editor left besides would be
// sent as part of the password, and refused until the account is locked.
func ParsePassword(text []byte) (string, error) {
	password := strings.TrimRight(string(text), "\r\n")
	for _, mark := range byteOrderMarks {
		if strings.HasPrefix(password, mark) {
			return "", errors.New("begins with a byte order mark: save it without one, as plain text in UTF-8")
		}
	}
	switch {
	case password == "":
		return "", errors.New("is empty")
	case strings.ContainsAny(password, "\r\n"):
		return "", errors.New("has several lines: leave in it the password alone, on one line")
	}
	return password, nil
}
