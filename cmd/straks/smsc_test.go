package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

// startSMSC runs "straks smsc" in this process until the test ends, and returns
// the addresses that it prints.
func startSMSC(t *testing.T, args ...string) (smsc, page string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	code := make(chan int, 1)
	var stderr strings.Builder
	go func() {
		code <- run(ctx, append([]string{"smsc", "-listen", "127.0.0.1:0", "-http", "127.0.0.1:0"}, args...), strings.NewReader(""), w, &stderr)
		w.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if c := <-code; c != exitDone {
			t.Errorf("exit code %d: %s", c, &stderr)
		}
	})
	var said struct{ SMSC, HTTP string }
	line, err := bufio.NewReader(r).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &said)
	}
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return said.SMSC, said.HTTP
}

// exchange writes requests to the SMSC, and returns as many PDUs from it.
func exchange(t *testing.T, addr string, pdus int, requests ...any) []wire.Frame {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(2 * time.Minute))
	for i, body := range requests {
		id := wire.SubmitSM
		if _, ok := body.(*wire.Bind); ok {
			id = wire.BindTransceiver
		}
		b, err := wire.Append(nil, wire.Header{ID: id, Sequence: uint32(i + 1)}, body)
		if err != nil {
			t.Fatal(err)
		}
		nc.Write(b)
	}
	var frames []wire.Frame
	for r := wire.NewReader(nc); len(frames) < pdus; {
		f, err := r.Next()
		if err != nil {
			t.Fatalf("after %d PDUs: %v", len(frames), err)
		}
		frames = append(frames, f)
	}
	return frames
}

func TestSMSCCommand(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr, page := startSMSC(t, "-system-id", "ttd", "-password-file", password,
		"-rule", "77:status=ESME_RINVSRCADR", "-throttle", "1")

	message := func(to string) *wire.Message { return &wire.Message{Dest: to, ShortMessage: []byte("x")} }
	got := exchange(t, addr, 4, &wire.Bind{SystemID: "ttd", Password: "hunter2"},
		message("4799999999"), message("4799999977"), message("4799999904"))
	for i, want := range []wire.Status{wire.ESMEOK, wire.ESMEThrottled, wire.ESMEInvSrcAdr, wire.ESMEInvDstAdr} {
		if got[i].Status != want {
			t.Errorf("answer %d: %v, want %v", i, got[i].Status, want)
		}
	}
	if got := exchange(t, addr, 1, &wire.Bind{SystemID: "ttd", Password: "wrong"}); got[0].Status != wire.ESMEInvPaswd {
		t.Errorf("wrong password: %v", got[0].Status)
	}

	resp, err := http.Get("http://" + page + "/stats.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var st smsctest.Stats
	if err := json.NewDecoder(resp.Body).Decode(&st); err != nil || st.Submits != 3 || st.BindsRefused != 1 {
		t.Errorf("%+v, %v", st, err)
	}
}

// Switches need no value, and do not take the next argument as one.
func TestSMSCSwitches(t *testing.T) {
	var o smscOptions
	if err := o.flags().Parse(strings.Fields("-data-sm -intermediate ENROUTE -early=true -echo-text")); err != nil {
		t.Fatal(err)
	}
	if r := o.profile.Receipt; !r.DataSM || r.Intermediate != "ENROUTE" || !r.Early || !r.EchoText || r.EchoReference {
		t.Errorf("%+v", r)
	}
}

func TestSMSCCommandLineFaults(t *testing.T) {
	marked := filepath.Join(t.TempDir(), "marked")
	if err := os.WriteFile(marked, []byte("\ufeffhunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, says := range map[string]string{
		"-listen 0.0.0.0:0":                     "not a loopback address",
		"-delay soon":                           "not a duration",
		"-rule 01:stat=UNDELIV":                 `did you mean "state"?`,
		"-password-file x":                      "needs -system-id",
		"-system-id a -password-file /no/one":   "no such file",
		"-system-id a -password-file " + marked: "byte order mark",
		"surplus":                               `what is "surplus"?`,
	} {
		var stderr strings.Builder
		code := run(t.Context(), append([]string{"smsc"}, strings.Fields(args)...), strings.NewReader(""), io.Discard, &stderr)
		if code == exitDone || !strings.Contains(stderr.String(), says) {
			t.Errorf("%s: exit code %d, %q", args, code, &stderr)
		}
	}
}

func TestSMSCHelpTellsTheEndings(t *testing.T) {
	var stdout strings.Builder
	if code := run(t.Context(), []string{"smsc", "-h"}, strings.NewReader(""), &stdout, io.Discard); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	for _, e := range smsctest.Endings() {
		if !strings.Contains(stdout.String(), e.What) {
			t.Errorf("the help lacks %s", e.Suffix)
		}
	}
}
