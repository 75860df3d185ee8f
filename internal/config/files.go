package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"straks/internal/pemfile"
)

// File is a file beside the configuration that the daemon reads.
type File struct {
	Key  string // that names it
	Path string
}

// Files returns the files that the configuration names, except credentials, which systemd
// reads, and the journal.
func (cfg *Config) Files() []File { return cfg.files }

// reads notes a file that the daemon reads.
func (c *checker) reads(name, path string) {
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); path != "" && (dir == "" || filepath.Dir(path) != filepath.Clean(dir)) {
		c.file.files = append(c.file.files, File{c.Key(name), path})
	}
}

// locate is credential, with its error as a fault.
func (c *checker) locate(name, path string) string {
	path, err := credential(path)
	if err != nil {
		c.Add(name, "%v", err)
	}
	return path
}

// CredentialFolder is where the packages of distributions have credentials. The unit hands it over as a
// whole, by LoadCredential=straks:/etc/straks/credentials.
const CredentialFolder = "/etc/straks/credentials"

// folderPrefix is what systemd puts before the name of a file in such a folder (systemd.exec(5)).
const folderPrefix = "straks_"

// AdoptCredentials lets bare names be those of files in the folder, where systemd handed over no credentials and the
// folder can be read: root's commands then find what the daemon has.
func AdoptCredentials(folder string) {
	if os.Getenv("CREDENTIALS_DIRECTORY") != "" {
		return
	}
	if _, err := os.ReadDir(folder); err == nil {
		_ = os.Setenv("CREDENTIALS_DIRECTORY", folder) // fails for a name that is no name only
	}
}

// credential returns the path of a secret. A bare name is that of a credential, in the folder
// where systemd puts them, or of a file in a folder that was handed over as a credential.
func credential(path string) (string, error) {
	if path == "" || strings.ContainsRune(path, filepath.Separator) {
		return path, nil
	}
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return "", errors.New("is the name of a credential, but $CREDENTIALS_DIRECTORY is not set: " +
			"put it into " + CredentialFolder + ", which the unit hands over, and run commands as root, who can read it; or set the variable, or give a path")
	}
	if inFolder := filepath.Join(dir, folderPrefix+path); exists(inFolder) {
		return inFolder, nil
	}
	return filepath.Join(dir, path), nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// warnReadable warns of a secret that everybody can read.
func (c *checker) warnReadable(name, path string, info os.FileInfo) {
	if info.Mode().Perm()&0o004 != 0 {
		c.warn(name, "names %s, which everybody on this machine can read", path)
	}
}

// unread is the password of an account whose file was not read.
const unread = "unread"

// maxSecret is more than any password has, in octets.
const maxSecret = 4096

// secret reads a password from the file that the key names.
func (c *checker) secret(name, path string) string {
	if c.file.sealed && path != "" {
		return unread
	}
	path = c.locate(name, path)
	if path == "" {
		return ""
	}
	c.reads(name, path)
	secret, info, err := readSecret(path)
	if info != nil {
		c.warnReadable(name, path, info)
	}
	if err != nil {
		c.Add(name, "%v", err)
	}
	return secret
}

// ReadSecret reads a secret from the file that a key names, for a command that was loaded
// without secrets. The error continues the sentence that begins with the key.
func ReadSecret(path string) (string, error) {
	path, err := credential(path)
	if err != nil {
		return "", err
	}
	secret, _, err := readSecret(path)
	return secret, err
}

// readSecret reads a file with one secret, and returns what the file is, if it is one.
func readSecret(path string) (string, os.FileInfo, error) {
	text, info, err := readSmall(path, maxSecret)
	if err != nil {
		return "", info, err
	}
	password, err := ParsePassword(text)
	if err != nil {
		return "", info, fmt.Errorf("names %s, which %w", path, err)
	}
	return password, info, nil
}

// readSmall reads a file of at most the given number of octets, and returns what the file is, if it is one.
func readSmall(path string, most int64) ([]byte, os.FileInfo, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("can't be read: %w", pemfile.Reason(err))
	case !info.Mode().IsRegular() || info.Size() > most:
		return nil, nil, fmt.Errorf("names %s, which is no file of at most %d octets", path, most)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, info, fmt.Errorf("can't be read: %w", pemfile.Reason(err))
	}
	return text, info, nil
}

// byteOrderMarks are put before a text by some editors: in UTF-8, and in UTF-16, whose
// octets do not occur in UTF-8.
var byteOrderMarks = []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"}

// ParsePassword returns the password in a file's text, without the line end that editors
// leave. Its error continues the sentence that begins with the file's name. Anything else
// that an editor leaves would be sent as part of the password, and refused until the account
// is locked.
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
		return "", errors.New("has several lines: it must hold the password alone, on one line")
	}
	return password, nil
}

// authorities checks a file of certificates to trust.
func (c *checker) authorities(name, path string) {
	c.reads(name, path)
	_, err := pemfile.Pool(path)
	c.Unless(err == nil, name, "can't be used: %v", err)
}

// keyPair locates and checks a certificate and its key.
func (c *checker) keyPair(certName string, cert *string, keyName string, key *string) {
	c.Unless((*cert == "") == (*key == ""), keyName, "and %s go together: give both, or neither", certName)
	if c.file.sealed {
		*cert, *key = "", ""
		return
	}
	*key = c.locate(keyName, *key)
	c.reads(certName, *cert)
	c.reads(keyName, *key)
	certOK, keyOK := c.readable(certName, *cert), c.readable(keyName, *key)
	if !certOK || !keyOK {
		return
	}
	if pair, err := pemfile.Pair(*cert, *key); err != nil {
		c.Add(certName, "and %s can't be used: %v", keyName, err)
	} else {
		c.validity(certName, pair[0].Leaf)
	}
	if info, err := os.Stat(*key); err == nil {
		c.warnReadable(keyName, *key, info)
	}
}

// readable reports whether there is a path and the file can be opened.
func (c *checker) readable(name, path string) bool {
	if path == "" {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		c.Add(name, "can't be read: %v", pemfile.Reason(err))
		return false
	}
	f.Close()
	return true
}

// Renewal is how long before its end a certificate or token should have been replaced.
const Renewal = 14 * day

// validity warns of a certificate that is not valid now, or not for long.
func (c *checker) validity(name string, cert *x509.Certificate) {
	from, until := cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339)
	switch {
	case cert.NotAfter.Before(c.file.now):
		c.warn(name, "names a certificate that expired on %s: peers that check it hang up", until)
	case cert.NotBefore.After(c.file.now):
		c.warn(name, "names a certificate that is not valid before %s: peers that check it hang up until then", from)
	case cert.NotAfter.Before(c.file.now.Add(Renewal)):
		c.warn(name, "names a certificate that expires on %s: replace it", until)
	}
}
