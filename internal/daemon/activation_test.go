package daemon

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"straks/internal/config"
	"straks/internal/faults"
)

func TestSameAddress(t *testing.T) {
	for _, tt := range []struct {
		have, want string
		same       bool
	}{
		{"127.0.0.1:8080", "127.0.0.1:8080", true},
		{"127.0.0.1:8080", "127.0.0.1:0", true},
		{"127.0.0.1:8080", "127.0.0.1:8081", false},
		{"127.0.0.1:8080", "127.0.0.2:8080", false},
		{"127.0.0.1:8080", ":8080", false},
		{"[::]:8080", ":8080", true},
		{"[::]:8080", "0.0.0.0:8080", true},
		{"[::1]:8080", "[::1]:8080", true},
		{"127.0.0.1:8080", "", false},
		{"[::]:8080", "", false},
		{"127.0.0.1:8080", "/run/straks/admin.sock", false},
	} {
		have, err := net.ResolveTCPAddr("tcp", tt.have)
		if err != nil {
			t.Fatal(err)
		}
		if got := sameAddress(have, tt.want); got != tt.same {
			t.Errorf("%s and %s: %t", tt.have, tt.want, got)
		}
	}
	if !sameAddress(&net.UnixAddr{Name: "/run/s", Net: "unix"}, "/run/s") {
		t.Error("not the same socket")
	}
}

// An address that the unit's socket holds is no fault of a configuration; one that another program holds is.
func TestPreflightKnowsTheSocket(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	folder := t.TempDir()
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	cfg := &config.Config{API: config.API{Listen: l.Addr().String()}, Admin: config.Admin{Listen: filepath.Join(folder, "admin.sock"), Mode: 0o600}}
	for answer, fault := range map[string]bool{
		fmt.Sprintf("Listen=%s (Stream)\nTriggers=straks.service\nActiveState=active", l.Addr()):                                                                        false,
		"Listen=[::]:1 (Stream)\nTriggers=straks.service\nActiveState=active\n\nActiveState=active\nTriggers=straks.service\nListen=" + l.Addr().String() + " (Stream)": false,
		fmt.Sprintf("Listen=%s (Stream)\nTriggers=straks.service\nActiveState=inactive", l.Addr()):                                                                      true,
		fmt.Sprintf("Listen=%s (Stream)\nTriggers=other.service\nActiveState=active", l.Addr()):                                                                         true,
		"Listen=127.0.0.1:1 (Stream)\nTriggers=straks.service\nActiveState=active":                                                                                      true,
		"": true,
	} {
		script := "#!/bin/sh\ncat <<'END'\n" + answer + "\nEND\n"
		if err := os.WriteFile(filepath.Join(folder, "systemctl"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		found, warnings := faults.New(), faults.New()
		tryListeners(cfg, found, warnings)
		if text := fmt.Sprint(found.All()); strings.Contains(text, "api.listen") != fault {
			t.Errorf("%q: %s", answer, text)
		}
		other := strings.Contains(answer, ":1 (Stream)\nTriggers=straks.service\nActiveState=active")
		if text := fmt.Sprint(warnings.All()); strings.Contains(text, "systemd's socket listens on") != other {
			t.Errorf("%q: %s", answer, text)
		}
	}
}
