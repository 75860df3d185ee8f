package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// container is what compose.yaml says of a service.
type container struct {
	Command     []string
	Volumes     []string
	Healthcheck struct{ Test []string }
	User        string
	Privileged  bool
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	Ports       []string
}

// TestContainers: the commands in compose.yaml and the Dockerfile are commands of this program, with flags that it
// has; no service is more than it must be, and none is reached from another machine.
func TestContainers(t *testing.T) {
	text, err := os.ReadFile("../../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var compose struct{ Services map[string]container }
	if err := yaml.Unmarshal(text, &compose); err != nil {
		t.Fatal(err)
	}
	if len(compose.Services) != 3 {
		t.Errorf("%d services", len(compose.Services))
	}
	for name, c := range compose.Services {
		takes(t, name, c.Command)
		if test := c.Healthcheck.Test; len(test) > 0 && (test[0] != "CMD" || test[1] != "/usr/bin/straks") {
			t.Errorf("%s: its health check needs a shell: %q", name, test)
		} else if len(test) > 0 {
			takes(t, name, test[2:])
		}
		if !c.ReadOnly || !slices.Equal(c.CapDrop, []string{"ALL"}) || c.Privileged || c.User != "" {
			t.Errorf("%s may do too much: %+v", name, c)
		}
		for _, port := range c.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s is reached from elsewhere: %s", name, port)
			}
		}
	}
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, instruction := range []string{`(?m)^HEALTHCHECK .* CMD (\[.*\])$`, `(?m)^CMD (\[.*\])$`} {
		found := regexp.MustCompile(instruction).FindSubmatch(dockerfile)
		var words []string
		if found == nil || json.Unmarshal(found[1], &words) != nil {
			t.Fatalf("the Dockerfile has no %s in JSON", instruction)
		}
		takes(t, "Dockerfile", slices.DeleteFunc(words, func(w string) bool { return w == "/usr/bin/straks" }))
	}
	if !regexp.MustCompile(`(?m)^USER [1-9][0-9]*:`).Match(dockerfile) {
		t.Error("the image runs as root")
	}
}

// takes checks a command line, without running it: -h comes last, so the flags before it are read.
func takes(t *testing.T, who string, args []string) {
	t.Helper()
	var out bytes.Buffer
	if code := run(t.Context(), append(slices.Clone(args), "-h"), nil, &out, &out); code != exitDone {
		t.Errorf("%s: straks %q: exit code %d, %s", who, args, code, out.String())
	}
}
