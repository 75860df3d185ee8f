package main

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/bbolt"

	"straks/internal/config"
	"straks/internal/daemon"
	"straks/orders/bolt"
	"straks/smpp/peertest"
)

// starts is serve up to the moment from which nothing can be refused any more.
func starts(t *testing.T, path string) error {
	cfg, _, err := config.Load(path)
	if err != nil {
		return err
	}
	d, err := daemon.New(t.Context(), cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err == nil {
		d.Close()
	}
	return err
}

// keyFiles writes two certificates with their keys, and returns the names of their files without ending.
func keyFiles(t *testing.T, dir string) (one, other string) {
	for i := range 2 {
		pair, _ := peertest.Certificate(t)
		key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, fmt.Sprint("pair", i))
		put(t, name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
		put(t, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	}
	return filepath.Join(dir, "pair0"), filepath.Join(dir, "pair1")
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// setSchema makes the journal one of another schema, as programs wrote it before records had sums. to has the present one.
func setSchema(t *testing.T, path string, to func(now uint32) uint32) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		meta := tx.Bucket([]byte("meta"))
		version := binary.BigEndian.Uint32(meta.Get([]byte("schema")))
		if err := errors.Join(meta.Delete([]byte("schema.sum")), meta.Put([]byte("id"), bytes.Clone(meta.Get([]byte("id"))[:16]))); err != nil {
			return err
		}
		return meta.Put([]byte("schema"), binary.BigEndian.AppendUint32(nil, to(version)))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestCheckAndServeAgree: what check calls right serve takes, and what it refuses serve refuses, naming the same key
// where both name one.
func TestCheckAndServeAgree(t *testing.T) {
	const (
		admin = "[admin]\nlisten = \"127.0.0.1:0\""
		smsc  = "system_id = \"straks\"\n"
		api   = "[api]\nlisten = \"127.0.0.1:0\"\n"
		relay = "[[relay]]\nname = \"mx\"\naddr = \"127.0.0.1:25\"\n"
	)
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	certificates := t.TempDir()
	one, other := keyFiles(t, certificates)
	put(t, filepath.Join(certificates, "junk"), "junk")
	put(t, filepath.Join(certificates, "empty"), "")
	put(t, filepath.Join(certificates, "mark"), "\xef\xbb\xbfsecret\n")
	put(t, filepath.Join(certificates, "good"), "secret\n")
	in := func(format string) string {
		return strings.NewReplacer("$ONE", one, "$OTHER", other, "$CERT", certificates, "$TAKEN", taken.Addr().String()).Replace(format)
	}
	unwritable := "journal.path"
	if os.Geteuid() == 0 {
		unwritable = "" // root writes every file
	}
	for _, c := range []struct {
		name     string
		old, new string // a passage of the configuration, and what takes its place
		prepare  func(t *testing.T, journal string)
		key      string // of the fault; empty: none
	}{
		{"sound", "", "", nil, ""},
		{"no journal", "", "", func(t *testing.T, j string) { os.Remove(j) }, "journal.path"},
		{"a folder as the journal", "", "", func(t *testing.T, j string) { os.Remove(j); os.Mkdir(j, 0o700) }, "journal.path"},
		{"another file as the journal", "", "", func(t *testing.T, j string) { put(t, j, strings.Repeat("x", 1<<20)) }, "journal.path"},
		{"an empty file as the journal", "", "", func(t *testing.T, j string) { put(t, j, "") }, "journal.path"},
		{"half a journal", "", "", func(t *testing.T, j string) { os.Truncate(j, 8<<10) }, "journal.path"},
		{"an older journal", "", "", func(t *testing.T, j string) { setSchema(t, j, func(uint32) uint32 { return 4 }) }, ""},
		{"a newer journal", "", "", func(t *testing.T, j string) { setSchema(t, j, func(now uint32) uint32 { return now + 1 }) }, "journal.path"},
		{"a journal that can't be written", "", "", func(t *testing.T, j string) { os.Chmod(j, 0o400) }, unwritable},

		{"api: address in use", api, "[api]\nlisten = \"$TAKEN\"\n", nil, "api.listen"},
		{"api: another machine's address", api, "[api]\nlisten = \"192.0.2.1:0\"\n", nil, "api.listen"},
		{"api: no port", api, "[api]\nlisten = \"127.0.0.1\"\n", nil, "api.listen"},
		{"api: port too high", api, "[api]\nlisten = \"127.0.0.1:99999\"\n", nil, "api.listen"},
		{"api: a name for the port", api, "[api]\nlisten = \"127.0.0.1:http\"\n", nil, "api.listen"},
		{"api: a host that is none", api, "[api]\nlisten = \"no host:0\"\n", nil, "api.listen"},
		{"metrics: address in use", admin, "[metrics]\nlisten = \"$TAKEN\"\n[admin]\nlisten = \"$CERT/a.sock\"", nil, "metrics.listen"},
		{"metrics: port with a sign", admin, "[metrics]\nlisten = \"127.0.0.1:+80\"\n[admin]\nlisten = \"$CERT/a.sock\"", nil, "metrics.listen"},
		{"admin: address in use", admin, "[admin]\nlisten = \"$TAKEN\"", nil, "admin.listen"},
		{"admin: a socket", admin, "[admin]\nlisten = \"$CERT/a.sock\"", nil, ""},
		{"admin: a file in the way", admin, "[admin]\nlisten = \"$CERT/junk\"", nil, "admin.listen"},
		{"admin: no folder", admin, "[admin]\nlisten = \"$CERT/none/a.sock\"", nil, "admin.listen"},
		{"admin: a file as the folder", admin, "[admin]\nlisten = \"$CERT/junk/a.sock\"", nil, "admin.listen"},
		{"admin: a path too long", admin, "[admin]\nlisten = \"$CERT/" + strings.Repeat("x", 100) + "\"", nil, "admin.listen"},
		{"admin: no such group", admin, "[admin]\nlisten = \"$CERT/a.sock\"\ngroup = \"no-such-group\"", nil, "admin.listen"},
		{"two listeners with one address", api, "[api]\nlisten = \"127.0.0.1:34567\"\n[metrics]\nlisten = \"127.0.0.1:34567\"\n", nil, "metrics.listen"},
		{"two listeners, one of every interface", api, "[api]\nlisten = \":34568\"\n[metrics]\nlisten = \"127.0.0.1:34568\"\n", nil, "admin.token_file"},

		{"api: certificate and key", api, api + "tls_cert_file = \"$ONE.pem\"\ntls_key_file = \"$ONE.key\"\n", nil, ""},
		{"api: the key of another certificate", api, api + "tls_cert_file = \"$ONE.pem\"\ntls_key_file = \"$OTHER.key\"\n", nil, "api.tls_cert_file"},
		{"api: no such key", api, api + "tls_cert_file = \"$ONE.pem\"\ntls_key_file = \"$CERT/none\"\n", nil, "api.tls_key_file"},
		{"api: a folder as the certificate", api, api + "tls_cert_file = \"$CERT\"\ntls_key_file = \"$ONE.key\"\n", nil, "api.tls_cert_file"},
		{"smsc: certificate and key", smsc, smsc + "tls = { mode = \"on\", cert_file = \"$ONE.pem\", key_file = \"$ONE.key\", ca_file = \"$OTHER.pem\" }\n", nil, ""},
		{"smsc: the key of another certificate", smsc, smsc + "tls = { mode = \"on\", cert_file = \"$ONE.pem\", key_file = \"$OTHER.key\" }\n", nil, "smsc[0].tls.cert_file"},
		{"smsc: authorities without a certificate", smsc, smsc + "tls = { mode = \"on\", ca_file = \"$CERT/junk\" }\n", nil, "smsc[0].tls.ca_file"},
		{"relay", "[[smsc]]", relay + "[[smsc]]", nil, ""},
		{"relay: authorities without a certificate", "[[smsc]]", relay + "tls = \"starttls\"\nca_file = \"$CERT/junk\"\n[[smsc]]", nil, "relay[0].ca_file"},
		{"relay: no such authorities", "[[smsc]]", relay + "tls = \"starttls\"\nca_file = \"$CERT/none\"\n[[smsc]]", nil, "relay[0].ca_file"},
		{"relay: the key of another certificate", "[[smsc]]", relay + "tls = \"starttls\"\nclient_cert = \"$ONE.pem\"\nclient_key = \"$OTHER.key\"\n[[smsc]]", nil, "relay[0].client_cert"},
		{"relay: a login without a password", "[[smsc]]", relay + "tls = \"starttls\"\nusername = \"straks\"\n[[smsc]]", nil, "relay[0].password_file"},

		{"password", smsc, smsc + "password_file = \"$CERT/good\"\n", nil, ""},
		{"no such password", smsc, smsc + "password_file = \"$CERT/none\"\n", nil, "smsc[0].password_file"},
		{"an empty password", smsc, smsc + "password_file = \"$CERT/empty\"\n", nil, "smsc[0].password_file"},
		{"a byte order mark", smsc, smsc + "password_file = \"$CERT/mark\"\n", nil, "smsc[0].password_file"},
		{"a credential without a folder", smsc, smsc + "password_file = \"good\"\n", nil, "smsc[0].password_file"},
		{"a short admin token", admin, admin + "\ntoken_file = \"$CERT/good\"", nil, "admin.token_file"},

		{"an odd base path", api, api + "base_path = \"/a//b\"\n", nil, "api.base_path"},
		{"a base path that leads up", api, api + "base_path = \"/a/../b\"\n", nil, "api.base_path"},
		{"a base path with a percent sign", api, api + "base_path = \"/%zz\"\n", nil, "api.base_path"},
		{"a base path of Norwegian letters", api, api + "base_path = \"/bær\"\n", nil, ""},
		{"no base path", api, api + "base_path = \"/\"\n", nil, ""},
		{"a prefix that is none", "home = [\"*\"]", "allow = [\"47\"]", nil, "numbers.allow[0]"},
		{"a digest that is none", "[[smsc]]", "[[organisation]]\nname = \"x\"\n[[organisation.token]]\nname = \"a\"\nsha256 = \"abc\"\n[[smsc]]", nil, "organisation[0].token[0].sha256"},
		{"an organisation twice", "[[smsc]]", "[[organisation]]\nname = \"ttd\"\n[[smsc]]", nil, "organisation[1].name"},
		{"a route to nobody", "[[smsc]]", "[[route]]\nsmscs = [\"nobody\"]\n[[smsc]]", nil, "route[0].smscs[0]"},
		{"a status in words", smsc, smsc + "status = { x = \"final\" }\n", nil, "smsc[0].status.x"},
		{"a rate without sense", "name = \"ttd\"\n", "name = \"ttd\"\nrate = -1\n", nil, "organisation[0].rate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeConfig(t, "")
			journal := filepath.Join(filepath.Dir(path), "journal.db")
			if err := bolt.Create(journal, bolt.Options{}); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(text), c.old) {
				t.Fatalf("%q is not in the configuration: %v", c.old, err)
			}
			put(t, path, strings.Replace(string(text), c.old, in(c.new), 1))
			if c.prepare != nil {
				c.prepare(t, journal)
			}
			before, _ := os.ReadFile(journal)
			code, _, stderr := straks(t, "", "check", "-config", path)
			after, _ := os.ReadFile(journal)
			refused := starts(t, path)
			if (code != exitDone) != (refused != nil) {
				t.Errorf("check exits with %d: %s\nserve says %v", code, stderr, refused)
			}
			if (refused != nil) != (c.key != "") || !strings.Contains(stderr, " "+c.key) {
				t.Errorf("want a fault at %q: %s\nserve says %v", c.key, stderr, refused)
			}
			if string(before) != string(after) {
				t.Error("check has changed the journal")
			}
		})
	}
}

// TestCheckBesideTheDaemon: a daemon that runs has its journal and its listeners, which is no fault.
func TestCheckBesideTheDaemon(t *testing.T) {
	path := writeConfig(t, "")
	succeed(t, "init", "-config", path)
	j := openJournal(t, filepath.Join(filepath.Dir(path), "journal.db"))
	defer j.Close()
	code, stdout, stderr := straks(t, "", "check", "-config", path)
	if code != exitDone || !strings.Contains(stdout, "is right") || !strings.Contains(stderr, "were not looked at") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
}

// TestCheckOfAnotherMachine looks at the configuration alone.
func TestCheckOfAnotherMachine(t *testing.T) {
	path := writeConfig(t, "")
	if code, _, stderr := straks(t, "", "check", "-config-only", "-config", path); code != exitDone {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

// TestAccess: the first class of a file's permissions that a user belongs to decides, and each folder on the way must
// let the user pass.
func TestAccess(t *testing.T) {
	daemon := account{name: "straks", uid: 500, gids: []uint32{50, 51}, exists: true}
	dynamic := account{name: "straks"}
	for _, c := range []struct {
		user           account
		mode, uid, gid uint32
		may            bool
	}{
		{daemon, 0o400, 500, 0, true}, {daemon, 0o400, 0, 0, false}, {daemon, 0o440, 0, 51, true}, {daemon, 0o044, 500, 50, false},
		{daemon, 0o404, 0, 50, false}, {daemon, 0o004, 0, 0, true}, {dynamic, 0o644, 0, 0, true}, {dynamic, 0o640, 0, 0, false},
	} {
		if got := c.user.may(4, c.mode, c.uid, c.gid); got != c.may {
			t.Errorf("%o of %d:%d by %+v: %v", c.mode, c.uid, c.gid, c.user, got)
		}
	}
	if os.Geteuid() != 0 {
		return
	}
	dir := t.TempDir()
	for d := dir; d != "/"; d = filepath.Dir(d) { // the folders of tests are root's
		if err := os.Chmod(d, 0o755); d != os.TempDir() && err != nil {
			t.Fatal(err)
		}
		if filepath.Dir(d) == os.TempDir() {
			break
		}
	}
	secret := filepath.Join(dir, "closed", "secret")
	os.Mkdir(filepath.Dir(secret), 0o700)
	put(t, secret, "secret\n")
	for _, step := range []struct{ change, barred string }{
		{"", secret}, {secret, filepath.Dir(secret)}, {filepath.Dir(secret), ""},
	} {
		if step.change != "" {
			os.Chmod(step.change, 0o755)
		}
		if got := dynamic.barred(secret); got != step.barred {
			t.Errorf("after %q: barred at %q, want %q", step.change, got, step.barred)
		}
	}
	os.Chmod(secret, 0o600)
	path := writeConfig(t, "")
	text, _ := os.ReadFile(path)
	put(t, path, strings.Replace(string(text), "system_id", "password_file = \""+secret+"\"\nsystem_id", 1))
	succeed(t, "init", "-config", path)
	stderr := checked(t, path, "-user", "nobody-of-this-name")
	for _, want := range []string{"smsc[0].password_file names a file that the user", "journal.path names a journal that belongs to root"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q is missing:\n%s", want, stderr)
		}
	}
}

// checked returns the warnings of a configuration that is right.
func checked(t *testing.T, path string, args ...string) (stderr string) {
	t.Helper()
	code, _, stderr := straks(t, "", append([]string{"check", "-config", path}, args...)...)
	if code != exitDone {
		t.Errorf("exit %d, %s", code, stderr)
	}
	return stderr
}

func TestDaemonUser(t *testing.T) {
	dir := t.TempDir()
	unit := filepath.Join(dir, "straks.service")
	put(t, unit, "[Service]\nDynamicUser=yes\nUser=nobody-of-this-name\n")
	if a := daemonUser("", []string{filepath.Join(dir, "none"), unit}); a.name != "nobody-of-this-name" || a.exists {
		t.Errorf("%+v", a)
	}
	if a := daemonUser("root", []string{unit}); !a.exists || a.uid != 0 {
		t.Errorf("%+v", a)
	}
	if a := daemonUser("", nil); a.name != "" || len(unreadable(new(config.Config), a)) != 0 {
		t.Errorf("no unit: %+v", a)
	}
}
