package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/files"
)

const (
	documents = "/usr/share/doc/straks/"
	monitors  = "/usr/share/straks/"
	unitsPath = "/usr/lib/systemd/system/"
)

// info returns the description of a package.
func (t *tree) info(format, arch, version, binary, generated, sbom string) (*nfpm.Info, error) {
	c := &contents{tree: t}
	c.file(binary, "/usr/bin/straks", 0o755)
	c.units(filepath.Join(generated, "units"))
	c.add(&files.Content{Source: c.path("packaging/straks.toml"), Destination: "/etc/straks/straks.toml", Type: files.TypeConfigNoReplace,
		FileInfo: &files.ContentFileInfo{Mode: 0o644}})
	c.add(&files.Content{Destination: "/etc/straks", Type: files.TypeDir, FileInfo: &files.ContentFileInfo{Mode: 0o755}})
	c.add(&files.Content{Destination: "/etc/straks/credentials", Type: files.TypeDir, FileInfo: &files.ContentFileInfo{Mode: 0o700}})
	c.each(filepath.Join(generated, "man/*.gz"), "/usr/share/man/man1/")
	c.file(filepath.Join(generated, "bash"), "/usr/share/bash-completion/completions/straks", 0o644)
	c.file(filepath.Join(generated, "fish"), "/usr/share/fish/vendor_completions.d/straks.fish", 0o644)
	zsh := "/usr/share/zsh/vendor-completions/_straks" // Debian's
	if format == "rpm" {
		zsh = "/usr/share/zsh/site-functions/_straks"
	}
	c.file(filepath.Join(generated, "zsh"), zsh, 0o644)
	for _, pattern := range []string{"configs/*.yml", "configs/*.json"} { // alerts, rules, dashboard
		c.each(c.path(pattern), monitors)
	}
	c.each(c.path("docs/*.md"), documents+"docs/") // in folders as in the source, so that links lead to them
	for _, folder := range []string{"configs/postfix/", "configs/proxy/"} {
		c.each(c.path(folder+"*"), documents+folder)
	}
	for _, name := range []string{"README.md", "CHANGELOG.md", "configs/straks.toml", "api/openapi.yaml"} {
		c.file(c.path(name), documents+name, 0o644)
	}
	c.file(sbom, documents+"straks.cdx.json", 0o644)
	c.file(c.path("LICENSE"), documents+"copyright", 0o644)
	if c.err != nil {
		return nil, c.err
	}
	scripts := c.path(filepath.Join("packaging/scripts", format))
	return &nfpm.Info{
		Name:            "straks",
		Arch:            arch,
		Platform:        "linux",
		Version:         version,
		VersionSchema:   "none", // it has the form that Debian and RPM sort
		Section:         "net",
		Priority:        "optional",
		Maintainer:      "The straks authors <straks@localhost>",
		License:         "MIT",
		Description:     "instant notifications by SMS and e-mail\nA daemon that sends one SMS (SMPP) or one e-mail (SMTP) to one recipient,\nat once, and reports what became of it: for login codes and the like.",
		DisableGlobbing: true,
		MTime:           t.time,
		Overridables: nfpm.Overridables{
			Contents:   c.all,
			Recommends: []string{"systemd"},
			Scripts: nfpm.Scripts{
				PostInstall: scripts + "/postinstall", PreRemove: scripts + "/preremove", PostRemove: scripts + "/postremove",
			},
			RPM: nfpm.RPM{BuildHost: "straks", Summary: "Instant notifications by SMS and e-mail"},
		},
	}, nil
}

// contents are the files of a package, and the first error.
type contents struct {
	*tree
	all files.Contents
	err error
}

func (c *contents) path(name string) string { return filepath.Join(c.folder, name) }

func (c *contents) add(f *files.Content) {
	f.FileInfo.Owner, f.FileInfo.Group, f.FileInfo.MTime = "root", "root", c.time
	c.all = append(c.all, f)
}

func (c *contents) file(source, destination string, mode os.FileMode) {
	c.add(&files.Content{Source: source, Destination: destination, FileInfo: &files.ContentFileInfo{Mode: mode}})
}

// each adds the files of a pattern to a folder, except tests.
func (c *contents) each(pattern, folder string) {
	found, err := filepath.Glob(pattern)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no file is like %s", pattern)
	}
	if err != nil && c.err == nil {
		c.err = err
	}
	for _, path := range found {
		if !strings.HasSuffix(path, "_test.yml") {
			c.file(path, folder+filepath.Base(path), 0o644)
		}
	}
}

// units adds the units, which name the binary where a package has it.
func (c *contents) units(folder string) {
	found, err := filepath.Glob(c.path("systemd/straks*.*"))
	if err == nil {
		err = os.MkdirAll(folder, 0o755)
	}
	for _, path := range found {
		text, readErr := os.ReadFile(path)
		if readErr != nil {
			err = readErr
			break
		}
		packaged := filepath.Join(folder, filepath.Base(path))
		if err = os.WriteFile(packaged, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/straks", "/usr/bin/straks")), 0o644); err != nil {
			break
		}
		c.file(packaged, unitsPath+filepath.Base(path), 0o644)
	}
	if err != nil && c.err == nil {
		c.err = err
	}
}
