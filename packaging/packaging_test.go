package main

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

var all = flag.Bool("all", false, "build the packages of every architecture, and run lintian")

// releases are the packages that the tests share, by version.
var releases struct {
	sync.Mutex
	files map[string][]string
	root  string
}

func TestMain(m *testing.M) {
	flag.Parse()
	root, err := os.MkdirTemp("", "straks-packages-")
	if err != nil {
		panic(err)
	}
	releases.files, releases.root = make(map[string][]string), root
	code := m.Run()
	os.RemoveAll(root)
	os.Exit(code)
}

// built returns a package of the commit, with another version.
func built(t *testing.T, version, extension string) string {
	t.Helper()
	releases.Lock()
	defer releases.Unlock()
	files := releases.files[version]
	if files == nil {
		architectures := []string{runtime.GOARCH}
		if *all {
			architectures = []string{"amd64", "arm64"}
		}
		var err error
		files, err = release(t.Context(), options{source: "..", out: filepath.Join(releases.root, version), architectures: architectures, version: version})
		if err != nil {
			t.Fatal(err)
		}
		releases.files[version] = files
	}
	for _, path := range files {
		if strings.HasSuffix(path, extension) {
			return path
		}
	}
	t.Fatalf("no %s in %q", extension, files)
	return ""
}

func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("needs %s", name)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Two builds of a commit give the same octets.
func TestReproducible(t *testing.T) {
	first := filepath.Dir(built(t, "1.0.0", "deb"))
	again, err := release(t.Context(), options{source: "..", out: t.TempDir(), architectures: []string{runtime.GOARCH}, version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range again {
		if strings.HasSuffix(path, "SHA256SUMS") && *all {
			continue // the first has more architectures
		}
		one, err := os.ReadFile(filepath.Join(first, filepath.Base(path)))
		if err != nil {
			t.Error(err)
			continue
		}
		if two, err := os.ReadFile(path); err != nil || string(one) != string(two) {
			t.Errorf("%s differs: %v", filepath.Base(path), err)
		}
	}
	cmd := exec.Command("sha256sum", "--check", "SHA256SUMS")
	cmd.Dir = first
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Both packages have what they must, with the permissions that it needs.
func TestContents(t *testing.T) {
	deb := tool(t, "dpkg-deb", "--contents", built(t, "1.0.0", "deb"))
	rpm := tool(t, "rpm", "-qplv", built(t, "1.0.0", "rpm"))
	for _, line := range []string{
		`-rwxr-xr-x.* \.?/usr/bin/straks`,
		`-rw-r--r--.* \.?/usr/lib/systemd/system/straks\.service`,
		`-rw-r--r--.* \.?/usr/lib/systemd/system/straks\.socket`,
		`-rw-r--r--.* \.?/usr/lib/systemd/system/straks-init\.service`,
		`-rw-r--r--.* \.?/etc/straks/straks\.toml`,
		`drwx------.* \.?/etc/straks/credentials/?`,
		`-rw-r--r--.* \.?/usr/share/man/man1/straks-journal-backup\.1\.gz`,
		`-rw-r--r--.* \.?/usr/share/bash-completion/completions/straks`,
		`-rw-r--r--.* \.?/usr/share/zsh/.*/_straks`,
		`-rw-r--r--.* \.?/usr/share/fish/vendor_completions\.d/straks\.fish`,
		`-rw-r--r--.* \.?/usr/share/straks/alerts\.yml`,
		`-rw-r--r--.* \.?/usr/share/straks/dashboard\.json`,
		`-rw-r--r--.* \.?/usr/share/doc/straks/docs/install\.md`,
		`-rw-r--r--.* \.?/usr/share/doc/straks/copyright`,
	} {
		for name, list := range map[string]string{"deb": deb, "rpm": rpm} {
			m := regexp.MustCompile(`(?m)^` + line + `$`).FindString(list)
			if m == "" {
				t.Errorf("the %s lacks %s", name, line)
			} else if !strings.Contains(m, "root") {
				t.Errorf("the %s has %s", name, m)
			}
		}
	}
	if strings.Contains(deb+rpm, "_test.yml") {
		t.Error("tests are in the package")
	}
	if config := tool(t, "rpm", "-qpc", built(t, "1.0.0", "rpm")); config != "/etc/straks/straks.toml\n" {
		t.Errorf("the configuration of the rpm: %q", config)
	}
	for _, script := range strings.Fields(tool(t, "sh", "-c", "ls scripts/*/*")) {
		tool(t, "sh", "-n", script)
	}
}

// Debian's own checker finds no error, except what does not fit a package of this kind. It takes its time.
func TestLintian(t *testing.T) {
	if !*all {
		t.Skip("needs -all")
	}
	const accepted = "statically-linked-binary,no-changelog,bogus-mail-host"
	out := tool(t, "lintian", "--fail-on=error", "--allow-root", "--suppress-tags", accepted, built(t, "1.0.0", "deb"))
	t.Log(out)
}

// The SBOM has the modules of go.mod that the program has, and Go's own.
func TestSBOM(t *testing.T) {
	text, err := os.ReadFile(built(t, "1.0.0", "_"+runtime.GOARCH+".cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BOMFormat    string
		SerialNumber string
		Metadata     struct {
			Component struct{ Name, Version string }
		}
		Components []struct{ PURL string }
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" || !strings.HasPrefix(bom.SerialNumber, "urn:uuid:") || bom.Metadata.Component.Name != "straks" || bom.Metadata.Component.Version != "1.0.0" {
		t.Errorf("%+v", bom)
	}
	for _, want := range []string{"pkg:golang/std@1.", "pkg:golang/go.etcd.io/bbolt@v", "pkg:golang/github.com/spf13/cobra@v"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(string(text), "goreleaser/nfpm") {
		t.Error("it lists the packager")
	}
}

// Debian and RPM sort the versions as semantic versioning does.
func TestSortable(t *testing.T) {
	sorted := []string{"v0.0.0-20261129195624-5038a4f12345", "v1.2.3-rc.1", "v1.2.3", "v1.2.4-0.20261129195624-5038a4f12345", "v1.2.4"}
	before := ""
	for _, version := range sorted {
		s, err := sortable(version)
		if err != nil || strings.ContainsAny(s, "-") {
			t.Fatalf("%s: %q, %v", version, s, err)
		}
		if before != "" {
			tool(t, "dpkg", "--compare-versions", before, "lt", s)
		}
		before = s
	}
	if _, err := sortable("(devel)"); err == nil {
		t.Error("a binary without a version is packed")
	}
}
