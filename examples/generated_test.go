package examples

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// generator makes a client of the OpenAPI document, in a copy of its folder under generated/.
type generator struct {
	name     string
	needs    []string   // programs
	document string     // the form of the document that it reads
	steps    [][]string // commands that generate and compile
	run      []string   // the command that runs the client
}

var generators = []generator{
	{name: "oapi-codegen", document: "openapi.yaml",
		steps: [][]string{{"go", "tool", "oapi-codegen", "-config", "config.yaml", "openapi.yaml"}, {"go", "build", "-o", "client", "."}},
		run:   []string{"./client"}},
	{name: "ogen", document: "openapi.yaml",
		steps: [][]string{{"go", "tool", "ogen", "--target", "straks", "--package", "straks", "--clean", "openapi.yaml"}, {"go", "build", "-o", "client", "."}},
		run:   []string{"./client"}},
	{name: "openapi-typescript", document: "openapi.json", needs: []string{"node"},
		steps: [][]string{{"node_modules/.bin/openapi-typescript", "openapi.json", "-o", "straks.d.ts"}, {"node_modules/.bin/tsc"}},
		run:   []string{"node", "main.js"}},
}

// TestGeneratedClients: from the document that a daemon serves, each generator makes a client that compiles.
// The client sends a code, repeats the order, and reads in the feed and of the shipment what became of it.
func TestGeneratedClients(t *testing.T) {
	binary := build(t)
	for _, g := range generators {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			dir := g.prepare(t)
			s := startSandbox(t, binary)
			download(t, s.BaseURL+"/"+g.document, filepath.Join(dir, g.document))
			for _, step := range g.steps {
				command(t, dir, s, step...)
			}
			out := strings.Fields(command(t, dir, s, append(g.run, "+4799999999")...))
			if len(out) < 2 || !uuidForm.MatchString(out[1]) {
				t.Fatalf("it printed %q", out)
			}
			want := strings.NewReplacer("ID", out[1]).Replace("sent ID repeated ID feed ID SMS_Delivered shipment ID SMS_Delivered unknown NOT-00003")
			if got := strings.Join(out, " "); got != want {
				t.Errorf("it printed %q, want %q", got, want)
			}
			if got := command(t, dir, s, append(g.run, "99999999")...); got != "400 recipientSms.phoneNumber" {
				t.Errorf("of a number that is none it printed %q", got)
			}
		})
	}
}

// prepare returns a copy of the generator's folder. It skips the test where something is not installed:
// .ci/examples-deps does that.
func (g generator) prepare(t *testing.T) string {
	t.Helper()
	need(t, g.needs)
	from, err := filepath.Abs(filepath.Join("generated", g.name))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"main.go", "main.ts", "go.mod", "go.sum", "config.yaml", "package.json", "tsconfig.json"} {
		body, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), body, 0o600)
		}
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "package.json")); err == nil {
		modules := filepath.Join(from, "node_modules")
		if _, err := os.Stat(modules); err != nil {
			t.Skipf("needs the npm packages of examples/generated/%s (npm ci)", g.name)
		}
		if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	modules := exec.Command("go", "mod", "download")
	modules.Dir = dir
	if out, err := modules.CombinedOutput(); err != nil {
		t.Skipf("needs the Go modules of examples/generated/%s, or a module proxy: %v %s", g.name, err, bytes.TrimSpace(out))
	}
	return dir
}

func download(t *testing.T, url, file string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
}

// command runs a program in the folder, and returns what it printed.
func command(t *testing.T, dir string, s sandbox, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "STRAKS_URL="+s.BaseURL, "STRAKS_TOKEN="+s.Token, "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, out, stderr.String())
	}
	return strings.TrimSpace(string(out))
}
