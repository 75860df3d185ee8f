package main

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"straks/internal/config"
	"straks/internal/doctor"
	"straks/internal/pemfile"
	"straks/smtp"
)

// dkimCommand makes keys that sign mails, and prints their DNS records.
func dkimCommand(ctx context.Context, args []string, e env) error {
	return choice(ctx, args, e, "dkim new|show [flags]", []command{
		{"new", "make the keys of a domain, and print their DNS records", dkimNew},
		{"show", "print the DNS records of the configured keys", dkimShow},
	})
}

// newKey is a key that dkimNew makes.
type newKey struct {
	smtp.DKIMKey
	path string // of its file
	text []byte // PEM
}

// dkimNew makes the two keys of a domain. Nothing of the private keys is printed.
func dkimNew(_ context.Context, args []string, e env) error {
	fs := newFlags("dkim new [-selector NAME] [-rsa BITS] [-out DIR] DOMAIN")
	fs.notes = "Both keys are made, each in a file that only its owner can read. No file is overwritten.\n"
	selector := fs.String("selector", time.Now().UTC().Format("s20060102"), "the `name` of the RSA key in the DNS; that of the Ed25519 key is the same with \"-ed25519\"")
	bits := fs.Int("rsa", 2048, "the `bits` of the RSA key: 2048, 3072 or 4096")
	out := fs.String("out", ".", "the `folder` for the files, which exists")
	operands, err := fs.parse(args, e, "new", "DOMAIN")
	if err != nil {
		return err
	}
	domain, err := smtp.ParseDomain(operands[1])
	if err != nil {
		return misused("dkim new: %q is not a domain like example.org", operands[1])
	}
	if !smtp.ValidSelector(*selector+"-ed25519", domain) {
		return misused("dkim new: -selector %q must be letters, digits, hyphens and dots, and short enough for a name in the DNS", *selector)
	}
	if *bits != 2048 && *bits != 3072 && *bits != 4096 {
		return misused("dkim new: -rsa %d must be 2048, 3072 or 4096", *bits)
	}
	keys, err := generateKeys(domain, *selector, *bits, *out)
	if err != nil {
		return err
	}
	var text strings.Builder
	text.WriteString("; DNS:\n\n")
	for _, k := range keys {
		if err := writeRecord(&text, k.DKIMKey, k.Algorithm()); err != nil {
			return err
		}
	}
	writeStanza(&text, domain, *selector, keys)
	if err := storeKeys(keys); err != nil {
		return err
	}
	_, err = fmt.Fprint(e.stdout, text.String())
	return err
}

// generateKeys makes an RSA and an Ed25519 key, in memory.
func generateKeys(domain, selector string, bits int, dir string) ([]newKey, error) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, err
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	var keys []newKey
	for _, k := range []struct {
		kind, selector string
		private        crypto.Signer
	}{{"rsa", selector, rsaKey}, {"ed25519", selector + "-ed25519", edKey}} {
		der, err := x509.MarshalPKCS8PrivateKey(k.private)
		if err != nil {
			return nil, err
		}
		keys = append(keys, newKey{
			smtp.DKIMKey{Domain: domain, Selector: k.selector, Private: k.private},
			filepath.Join(dir, domain+"."+selector+"."+k.kind+".pem"),
			pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		})
	}
	return keys, nil
}

// storeKeys writes all files, or none.
func storeKeys(keys []newKey) error {
	for i, k := range keys {
		if err := writeNew(k.path, k.text); err != nil {
			for _, written := range keys[:i] {
				os.Remove(written.path)
			}
			return fmt.Errorf("dkim new: %w", err)
		}
	}
	return nil
}

// writeNew writes a file that does not exist yet and that only its owner can read.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists and is not overwritten: move it away, or give another name or folder", path)
	}
	if err != nil {
		return fmt.Errorf("%s can't be created: %w", path, pemfile.Reason(err))
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		os.Remove(path)
	}
	return err
}

// writeStanza writes the keys as the configuration has them.
func writeStanza(w *strings.Builder, domain, selector string, keys []newKey) {
	fmt.Fprintf(w, "# For the configuration. Where the domain has keys already, its [dkim.next] takes the lines from selector on.\n"+
		"# Under systemd, move the files to /etc/straks/credentials and give their bare names.\n\n"+
		"[[dkim]]\ndomain = %q\nselector = %q\nrsa_key_file = %q\ned25519_key_file = %q\n", domain, selector, keys[0].path, keys[1].path)
}

// writeRecord writes a key's DNS record as a line of a zone file, after a comment.
func writeRecord(w *strings.Builder, k smtp.DKIMKey, comment string) error {
	record, err := k.Record()
	if err != nil {
		return fmt.Errorf("dkim: %s: %w", k.Name(), err)
	}
	fmt.Fprintf(w, "; %s\n%s\n\n", comment, doctor.TXT(k.Name(), record))
	return nil
}

// dkimShow prints the DNS records of the configured keys.
func dkimShow(_ context.Context, args []string, e env) error {
	fs := newFlags("dkim show [-config FILE] [DOMAIN]")
	fs.notes = "A key that the configuration names as a credential is read in $CREDENTIALS_DIRECTORY.\n"
	path := fs.configFlag()
	operands, err := fs.parse(args, e, "show", "[DOMAIN]")
	if err != nil {
		return err
	}
	cfg, _, err := config.LoadSealed(*path)
	if err != nil {
		return err
	}
	keys, err := cfg.PublishedKeys(*path)
	if err != nil {
		return err
	}
	only := ""
	if len(operands) > 1 {
		if only, err = smtp.ParseDomain(operands[1]); err != nil {
			return misused("dkim show: %q is not a domain like example.org", operands[1])
		}
	}
	text, err := recordsOf(keys, only)
	if err != nil {
		return err
	}
	if text == "" {
		return fmt.Errorf("%s has no [[dkim]] for %s: \"straks dkim new DOMAIN\" makes keys and the stanza", *path, cmp.Or(only, "any domain"))
	}
	_, err = fmt.Fprint(e.stdout, text)
	return err
}

// recordsOf returns the records of all keys, or of one domain's.
func recordsOf(keys []config.PublishedKey, domain string) (string, error) {
	var text strings.Builder
	for _, k := range keys {
		if domain != "" && k.Domain != domain {
			continue
		}
		use := "signs"
		if k.Next {
			use = "next: signs nothing yet"
		}
		if err := writeRecord(&text, k.DKIMKey, k.Domain+": "+use+" ("+k.Algorithm()+")"); err != nil {
			return "", err
		}
	}
	return text.String(), nil
}
