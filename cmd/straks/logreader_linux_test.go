package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// The log's reader goes away, or stops reading: orders continue, and SIGTERM still ends
// the daemon.
func TestLogReader(t *testing.T) {
	for name, afflict := range map[string]func(*os.File){
		"gone":  func(log *os.File) { log.Close() },
		"stuck": func(*os.File) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
			log, stderr, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			if _, err := unix.FcntlInt(log.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0], "serve", "-config", w.ConfigFile())
			cmd.Env, cmd.Stderr = append(os.Environ(), asProgram+"=1"), stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			stderr.Close()
			var api string
			for lines := bufio.NewScanner(log); api == "" && lines.Scan(); {
				if line := lines.Text(); strings.Contains(line, `"msg":"serving"`) {
					api = quoted(line, `"api":"`)
				}
			}
			afflict(log)
			c := w.ClientAt(api)
			eventually.True(t, "an order", func() bool { _, err := c.SendSMS(t.Context(), daemontest.SMS("k", "+4799999999")); return err == nil })
			for n := range 60 { // more lines than the pipe holds
				if _, err := c.SendSMS(t.Context(), daemontest.SMS(fmt.Sprint(n), "+4799999999")); err != nil {
					t.Fatal(err)
				}
			}
			cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}
