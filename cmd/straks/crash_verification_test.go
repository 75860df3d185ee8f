package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"straks/api/client"
	"straks/codes"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// guessed is a verification whose code is guessed while the daemon is killed.
type guessed struct {
	client.Verification
	code  string
	wrong atomic.Int64 // answers that said so
	ended atomic.Int64 // answers that said that all attempts are used up
}

// TestCrashVerification kills the daemon at random moments while eight callers guess codes. No verification gives more
// answers than it has attempts, the right code then is worth nothing, and no code is in a file.
func TestCrashVerification(t *testing.T) {
	t.Parallel()
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	key := filepath.Join(w.Dir, "verification.key")
	if err := os.WriteFile(key, []byte(codes.NewKey().Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	w.EditConfig("[[organisation]]", fmt.Sprintf("[verification]\nkey_file = %q\n[[organisation]]", key))
	var all []*guessed
	for round := range 6 {
		p := startProcess(w)
		eventually.True(t, "the daemon to be ready", func() bool { return p.ready() == "" })
		c := w.ClientAt(p.api)
		for i := range 4 {
			number := fmt.Sprintf("+4799%d%d9999", round, i)
			v, _, err := c.StartVerification(t.Context(), client.VerificationRequest{IdempotencyID: number, SMS: &client.VerificationSMS{PhoneNumber: number},
				CodeLength: 10, Attempts: 10, TTLSeconds: 3600})
			if err != nil {
				t.Fatal(err)
			}
			submits := w.SMSC.Submits()
			code, _, _ := strings.Cut(submits[len(submits)-1].Text(), " ")
			all = append(all, &guessed{Verification: v, code: code})
		}
		var guesses sync.WaitGroup
		for range 8 {
			guesses.Go(func() {
				for {
					a := all[rand.IntN(len(all))]
					got, err := c.CheckCode(t.Context(), a.VerificationID, "0000000000")
					var answer *client.Problem
					switch {
					case err == nil && got.Status == "pending":
						a.wrong.Add(1)
					case errors.As(err, &answer) && answer.Code == "NOT-00013":
						a.ended.Add(1)
					case err == nil:
						t.Errorf("a wrong code is %s", got.Status)
					default:
						return // killed
					}
				}
			})
		}
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond) // the moment of the kill
		if err := p.kill(); err != nil {
			t.Error(err)
		}
		guesses.Wait()
	}
	w.Start()
	defer func() { w.Stop() }()
	for _, a := range all {
		for {
			_, err := w.Client.CheckCode(t.Context(), a.VerificationID, "0000000000")
			if err != nil {
				break
			}
			a.wrong.Add(1)
		}
		if a.wrong.Load() > 9 {
			t.Errorf("%d wrong codes of 10 were answered as if attempts were left", a.wrong.Load())
		}
		var answer *client.Problem
		if _, err := w.Client.CheckCode(t.Context(), a.VerificationID, a.code); !errors.As(err, &answer) || answer.Code != "NOT-00013" {
			t.Errorf("the right code after it: %v", err)
		}
	}
	w.Stop()
	daemontest.CheckJournal(t, w.JournalFile())
	files, err := filepath.Glob(filepath.Join(w.Dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		for _, a := range all {
			if err == nil && bytes.Contains(text, []byte(a.code)) {
				t.Errorf("%s has a code", file)
			}
		}
	}
}
