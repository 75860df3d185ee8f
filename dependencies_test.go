package straks_test

import (
	"go/ast"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// licences are found by their words. The first that fits counts.
var licences = []struct{ name, words string }{
	{"GPL", `(?i)GNU (AFFERO |LESSER )?GENERAL PUBLIC LICENSE`},
	{"MPL-2.0", `(?i)Mozilla Public License`},
	{"Apache-2.0", `(?i)Apache License`},
	{"MIT", `Permission is hereby granted, free of charge`},
	{"BSD-3-Clause", `(?is)Redistribution and use in source and binary forms.*neither the name`},
	{"BSD-2-Clause", `Redistribution and use in source`},
}

// TestDependencies: docs/dependencies.md has each module of the program with its licence, and no other.
func TestDependencies(t *testing.T) {
	page, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\| [^|]+ \\|$").FindAllStringSubmatch(string(page), -1) {
		listed[row[1]] = row[2]
	}
	tests := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| [^|]+ \\|$").FindAllStringSubmatch(string(page), -1) {
		tests[row[1]] = true
	}
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Dir}}{{end}}", "./cmd/straks").Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := map[string]bool{"straks": true}
	for line := range strings.Lines(string(out)) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		if path == "" || linked[path] {
			continue
		}
		linked[path] = true
		if got := licence(t, dir); listed[path] != got {
			t.Errorf("%s is linked into the program, with the licence %s; docs/dependencies.md has %q", path, got, listed[path])
		}
	}
	for path := range listed {
		if !linked[path] {
			t.Errorf("%s is in docs/dependencies.md, and not in the program", path)
		}
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, require := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(mod), -1) { // without "// indirect"
		if path := require[1]; !linked[path] && !tests[path] {
			t.Errorf("%s is for tests, and docs/dependencies.md does not say what for", path)
		}
	}
}

// licence returns the name of a module's licence.
func licence(t *testing.T, dir string) string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"LICEN[SC]E*", "COPYING*"} {
		found, _ := filepath.Glob(filepath.Join(dir, pattern))
		files = append(files, found...)
	}
	if len(files) == 0 {
		return "none"
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range licences {
		if regexp.MustCompile(l.words).Match(text) {
			return l.name
		}
	}
	return "unknown"
}

// TestSecurityNamesTests: each test that docs/security.md points at exists.
func TestSecurityNamesTests(t *testing.T) {
	page, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	exist := make(map[string]bool)
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test() {
				exist[f.Name.Name] = true
			}
		}
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 20 {
		t.Errorf("the page names %d tests", len(named))
	}
	for _, name := range named {
		if !exist[name[1]] {
			t.Errorf("docs/security.md names %s, which does not exist", name[1])
		}
	}
}
