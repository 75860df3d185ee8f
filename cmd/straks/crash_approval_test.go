package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
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

// rightly is a verification whose right code is given by several callers while a daemon is killed.
type rightly struct {
	id, code string
	approved atomic.Int64 // answers that said so
}

// verifiedBy has a daemon use a key for verifications.
func verifiedBy(w *daemontest.World, key string) {
	w.EditConfig("[[organisation]]", fmt.Sprintf("[verification]\nkey_file = %q\n[[organisation]]", key))
}

func verificationKey(t *testing.T) string {
	t.Helper()
	key := filepath.Join(t.TempDir(), "verification.key")
	if err := os.WriteFile(key, []byte(codes.NewKey().Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	return key
}

// startRightly starts verifications, n of them.
func startRightly(t *testing.T, c *client.Client, smsc *smsctest.SMSC, round, n int) (all []*rightly) {
	t.Helper()
	for i := range n {
		number := fmt.Sprintf("+4798%d%d9999", round, i)
		var v client.Verification
		err := repeated(func() (err error) {
			v, _, err = c.StartVerification(t.Context(), client.VerificationRequest{IdempotencyID: number, SMS: &client.VerificationSMS{PhoneNumber: number}, TTLSeconds: 3600})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		submits := smsc.Submits()
		code, _, _ := strings.Cut(submits[len(submits)-1].Text(), " ")
		all = append(all, &rightly{id: v.VerificationID, code: code})
	}
	return all
}

// giveRightly has callers of each client give the right code of all, each in the same order, so that they meet, until kill
// has ended what they call.
func giveRightly(t *testing.T, clients []*client.Client, all []*rightly, kill func() error) {
	t.Helper()
	var callers sync.WaitGroup
	for i := range 2 * len(clients) {
		callers.Go(func() {
			for _, r := range all {
				got, err := clients[i%len(clients)].CheckCode(t.Context(), r.id, r.code)
				switch {
				case err == nil && got.Status == "approved":
					r.approved.Add(1)
				case err == nil:
					t.Errorf("the right code is %s", got.Status)
				}
			}
		})
	}
	time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond) // the moment of the kill
	if err := kill(); err != nil {
		t.Error(err)
	}
	callers.Wait()
}

// onceApproved: what was answered as approved is so, and no verification is approved a second time.
func onceApproved(t *testing.T, w *daemontest.World, api string, all []*rightly) {
	t.Helper()
	c := w.ClientAt(api)
	check := func(r *rightly, code string) string {
		t.Helper()
		got, err := c.CheckCode(t.Context(), r.id, code)
		var problem *client.Problem
		if errors.As(err, &problem) {
			return problem.Code
		}
		if err != nil {
			t.Fatal(err)
		}
		return got.Status
	}
	const used = "NOT-00012"
	for _, r := range all {
		wrong := strings.Map(func(d rune) rune { return '0' + (d-'0'+1)%10 }, r.code)
		switch first := check(r, wrong); {
		case r.approved.Load() > 0 && first != used:
			t.Errorf("approved for %d callers, and then %s", r.approved.Load(), first)
		case first == used: // a wrong code ends the time in which a double click is approved
			if again := check(r, r.code); again != used {
				t.Errorf("approved, and after a wrong code %s", again)
			}
		default:
			if now := check(r, r.code); now != "approved" {
				t.Errorf("not approved before, and now %s", now)
			}
		}
	}
	approvals := make(map[string]int)
	for seq, more := 0, true; more; {
		req, err := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("http://%s/notifications/api/v1/verifications/feed?seq=%d", api, seq), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+w.Token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var page []struct {
			SequenceNumber         int
			VerificationID, Status string
		}
		err = json.NewDecoder(resp.Body).Decode(&page)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			if seq++; e.SequenceNumber != seq {
				t.Fatalf("entry %d follows %d", e.SequenceNumber, seq-1)
			}
			if e.Status == "approved" {
				approvals[e.VerificationID]++
			}
		}
		more = len(page) > 0
	}
	for _, r := range all {
		if n := approvals[r.id]; n != 1 {
			t.Errorf("the feed has %d approvals of one verification", n)
		}
	}
}

// TestCrashApproval kills the daemon at random moments while callers give the right codes. None is approved twice, and
// what was answered as approved stays so.
func TestCrashApproval(t *testing.T) {
	t.Parallel()
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	verifiedBy(w, verificationKey(t))
	var all []*rightly
	for round := range 5 {
		p := startProcess(w)
		eventually.True(t, "the daemon to be ready", func() bool { return p.ready() == "" })
		these := startRightly(t, w.ClientAt(p.api), w.SMSC, round, 6)
		api := w.ClientAt(p.api)
		giveRightly(t, []*client.Client{api, api}, these, p.kill)
		all = append(all, these...)
	}
	p := startProcess(w)
	onceApproved(t, w, p.api, all)
	p.stop(t)
	daemontest.CheckJournal(t, w.JournalFile())
}

// TestCrashApprovalOfNodes: the same, where two nodes are given the same code at the same moment, and one of them is
// killed. The other one goes on.
func TestCrashApprovalOfNodes(t *testing.T) {
	_, a, b := twoNodes(t)
	key := verificationKey(t)
	for _, n := range []*node{a, b} {
		verifiedBy(n.World, key)
	}
	a.start() // it has the bind, and is never killed
	var all []*rightly
	for round := range 4 {
		b.start()
		these := startRightly(t, b.client, a.SMSC, round, 6)
		giveRightly(t, []*client.Client{a.client, b.client}, these, b.kill)
		for _, r := range these {
			if r.approved.Load() == 0 {
				t.Error("the node that lives has approved none of the right codes")
			}
		}
		all = append(all, these...)
	}
	onceApproved(t, a.World, a.api, all)
	a.stop(t)
}
