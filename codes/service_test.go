package codes_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/codes"
	"straks/internal/eventually"
	"straks/orders"
)

// TestVerification is the way of one: made, sent, wrong once, right, clicked twice.
func TestVerification(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st := w.start(request("1"))
	sent := w.sms.Sent()
	if !st.Created || st.Status != codes.Pending || len(sent) != 1 || st.Shipment.ID != sent[0].Shipment || st.Expires != w.clock().Add(5*time.Minute) {
		t.Fatalf("%+v %d", st, len(sent))
	}
	c := code(t, w.sms)
	if want := c + " er koden din for ttd. Den er gyldig i 5 min. Ikke gi den til noen."; sent[0].Body != want || len(c) != 6 || sent[0].To != phone {
		t.Errorf("%q", sent[0].Body)
	}
	w.check(st.ID, wrong(c), codes.Pending, 4)
	w.restart()
	w.check(st.ID, " "+c[:3]+"-"+c[3:], codes.Approved, 3)
	w.pass(9 * time.Second)
	w.check(st.ID, c, codes.Approved, 3)
	w.pass(2 * time.Second)
	w.ended(st.ID, c, codes.Approved)
	if got := w.statuses(); !slices.Equal(got, []codes.Status{codes.Pending, codes.Approved}) {
		t.Error(got)
	}
	if !slices.Equal(w.used, []bool{true}) {
		t.Error(w.used)
	}
	if _, err := w.CheckCode(t.Context(), "other", st.ID, c); !errors.Is(err, codes.ErrNotFound) {
		t.Error(err)
	}
	if _, err := w.CheckCode(t.Context(), "ttd", uuid.New(), c); !errors.Is(err, codes.ErrNotFound) {
		t.Error(err)
	}
}

// TestExhausted: five wrong codes end it, also for the right one.
func TestExhausted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st := w.start(request("1"))
	c := code(t, w.sms)
	for left := 4; left > 0; left-- {
		w.check(st.ID, wrong(c), codes.Pending, left)
	}
	w.ended(st.ID, wrong(c), codes.Exhausted)
	w.ended(st.ID, c, codes.Exhausted)
	wantEnded(t, w.Cancel(t.Context(), "ttd", st.ID), codes.Exhausted)
	if _, err := w.Resend(t.Context(), "ttd", st.ID, 0); err == nil {
		t.Error("a code that is not worth anything was sent")
	}
	if st := w.start(request("1")); st.Status != codes.Exhausted || st.Created || len(w.sms.Sent()) != 1 {
		t.Errorf("repeat: %+v", st)
	}
	if again := w.start(request("2")); again.ID == st.ID || len(w.sms.Sent()) != 2 {
		t.Error("no new one after it")
	}
}

// TestAtOnce: 64 checks at a time get no more attempts than there are.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st := w.start(request("1"))
	c := code(t, w.sms)
	var looked, approved atomic.Int64
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			got, err := w.CheckCode(t.Context(), "ttd", st.ID, wrong(c))
			var ended *codes.EndedError
			switch {
			case err == nil && got.Status == codes.Pending:
				looked.Add(1)
			case !errors.As(err, &ended):
				t.Errorf("%d: %+v %v", i, got, err)
			}
		})
	}
	group.Wait()
	if _, err := w.CheckCode(t.Context(), "ttd", st.ID, c); err == nil {
		approved.Add(1)
	}
	if looked.Load() != 4 || approved.Load() != 0 {
		t.Errorf("%d wrong ones were looked at, and %d approved", looked.Load(), approved.Load())
	}
}

// TestContinues: three clicks with three keys are one verification and one message in 30 seconds, whose code is valid.
func TestContinues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.start(request("1"))
	for _, key := range []string{"2", "3"} {
		w.pass(10 * time.Second)
		if st := w.start(request(key)); st.ID != one.ID || st.Created || st.Shipment.ID != one.Shipment.ID {
			t.Errorf("%+v", st)
		}
	}
	w.pass(10 * time.Second)
	four := w.start(request("4"))
	if sent := w.sms.Sent(); len(sent) != 2 || digits.FindString(sent[0].Body) != digits.FindString(sent[1].Body) || four.Shipment.ID == one.Shipment.ID || four.ID != one.ID {
		t.Errorf("%d sent", len(sent))
	}
	if again := w.start(request("1")); again.Shipment.ID != one.Shipment.ID {
		t.Error("a repeat has another shipment")
	}
	other := request("5")
	other.Organisation = "other"
	template := request("6")
	template.To = []codes.Address{{Channel: orders.SMS, To: "+4799999998"}}
	both := withMail(request("7"))
	for _, r := range []*codes.Request{other, template, both} {
		if st := w.start(r); st.ID == one.ID || !st.Created {
			t.Errorf("%s continues that of another", r.Key)
		}
	}
	w.check(one.ID, digits.FindString(w.sms.Sent()[0].Body), codes.Approved, 4)
	if st := w.start(request("8")); st.ID == one.ID {
		t.Error("it goes on after its end")
	}
}

// TestClicksAtOnce: many clicks at a time, each with a key of its own, are one message.
func TestClicksAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var group sync.WaitGroup
	var created atomic.Int64
	for i := range 32 {
		group.Go(func() {
			st, err := w.Start(t.Context(), request(string(rune('a'+i%16))))
			if err != nil {
				t.Error(err)
			}
			if st.Created {
				created.Add(1)
			}
		})
	}
	group.Wait()
	if len(w.sms.Sent()) != 1 || created.Load() != 1 {
		t.Errorf("%d messages, %d made", len(w.sms.Sent()), created.Load())
	}
}

// TestNotSent: after a call that sent nothing, a repeat sends, with this key or another.
func TestNotSent(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"1", "2"} {
		w := newWorld(t)
		w.sms.Does(notSent)
		if _, err := w.Start(t.Context(), request("1")); !errors.Is(err, orders.ErrNotSent) {
			t.Fatal(err)
		}
		w.restart()
		w.sms.Sends(nil)
		st := w.start(request(key))
		if st.Shipment == nil || len(w.sms.Sent()) != 2 {
			t.Errorf("%+v", st)
		}
		w.check(st.ID, code(t, w.sms), codes.Approved, 4)
	}
}

// TestResend: the same code, on the channel that is asked for.
func TestResend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st := w.start(withMail(request("1")))
	resend := func(c orders.Channel) (codes.State, error) { return w.Resend(t.Context(), "ttd", st.ID, c) }
	if again, err := resend(0); err != nil || again.Shipment.ID != st.Shipment.ID {
		t.Errorf("%+v %v", again, err)
	}
	w.pass(30 * time.Second)
	if mail, err := resend(orders.Email); err != nil || mail.Shipment.Channel != orders.Email || code(t, w.email) != code(t, w.sms) {
		t.Errorf("%+v %v", mail, err)
	}
	for range codes.MaxMessages - 2 {
		w.pass(30 * time.Second)
		if _, err := resend(0); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.sms.Sent()) != codes.MaxMessages-1 {
		t.Errorf("%d", len(w.sms.Sent()))
	}
	if _, err := w.Resend(t.Context(), "other", st.ID, 0); !errors.Is(err, codes.ErrNotFound) {
		t.Error(err)
	}
	w.pass(time.Hour)
	_, err := resend(0)
	wantEnded(t, err, codes.Expired)

	alone := w.start(request("2"))
	if _, err := w.Resend(t.Context(), "ttd", alone.ID, orders.Email); !errors.Is(err, codes.ErrNoChannel) {
		t.Error(err)
	}
}

// TestMostMessages: a verification has ten messages at most.
func TestMostMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := request("1")
	r.ResendAfter = time.Second
	st := w.start(r)
	var limit *codes.LimitError
	for i := range 20 {
		w.pass(time.Second)
		_, err := w.Resend(t.Context(), "ttd", st.ID, 0)
		if i >= codes.MaxMessages-1 && !errors.As(err, &limit) || i < codes.MaxMessages-1 && err != nil {
			t.Errorf("%d: %v", i, err)
		}
		r.Key = string(rune('a' + i))
		w.start(r)
	}
	if n := len(w.sms.Sent()); n != codes.MaxMessages {
		t.Errorf("%d", n)
	}
}

// TestByRecipient: a service that keeps nothing has its codes checked by the recipient.
func TestByRecipient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	to := codes.Address{Channel: orders.SMS, To: phone}
	check := func(typed string) (codes.Checked, error) {
		return w.CheckRecipient(t.Context(), "ttd", to, "", typed)
	}
	if _, err := check("123456"); !errors.Is(err, codes.ErrNotFound) {
		t.Error(err)
	}
	one := w.start(request("1"))
	first := code(t, w.sms)
	w.pass(time.Second)
	two := w.start(withMail(request("2"))) // of another kind, so that both are pending
	second := code(t, w.sms)
	if first == second {
		t.Skip("once in a million")
	}
	if got, err := check(first); err != nil || got.ID != two.ID || got.Status != codes.Pending {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := w.CheckRecipient(t.Context(), "ttd", codes.Address{Channel: orders.Email, To: "ola@example.org"}, "", second); err != nil || got.ID != two.ID || got.Status != codes.Approved {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := check(second); err != nil || got.ID != two.ID || got.Status != codes.Approved { // a double click
		t.Errorf("%+v %v", got, err)
	}
	if got, err := check(first); err != nil || got.ID != one.ID || got.Status != codes.Approved {
		t.Errorf("%+v %v", got, err)
	}
	w.pass(time.Minute)
	_, err := check(first)
	wantEnded(t, err, codes.Approved)
	if _, err := w.CheckRecipient(t.Context(), "ttd", to, "no such", first); !errors.Is(err, codes.ErrNotFound) {
		t.Error(err)
	}
	if _, err := w.CheckRecipient(t.Context(), "other", to, "", first); !errors.Is(err, codes.ErrNotFound) {
		t.Error(err)
	}
}

// TestStopped: 100 wrong codes within an hour stop a recipient for an hour, over all of its verifications.
func TestStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var limit *codes.LimitError
	var last codes.State
	for n := 0; n < codes.MaxWrong; {
		r := request(uuid.NewString())
		r.Attempts = 10
		last = w.start(r)
		c := code(t, w.sms)
		for range 10 {
			if n == codes.MaxWrong-1 {
				w.check(last.ID, wrong(c), codes.Pending, 9)
				n++
				break
			}
			if _, err := w.CheckCode(t.Context(), "ttd", last.ID, wrong(c)); errors.As(err, &limit) {
				t.Fatalf("stopped after %d", n)
			}
			if n++; n%10 == 9 { // leave one, so that the hundredth does not end a verification
				w.Cancel(t.Context(), "ttd", last.ID)
				break
			}
		}
	}
	if _, err := w.CheckCode(t.Context(), "ttd", last.ID, code(t, w.sms)); !errors.As(err, &limit) || limit.After != time.Hour {
		t.Errorf("the right code: %v", err)
	}
	w.restart()
	if _, err := w.Start(t.Context(), request("another")); !errors.As(err, &limit) {
		t.Errorf("another verification: %v", err)
	}
	other := request("of another")
	other.To[0].To = "+4799999998"
	w.start(other)
	w.pass(time.Hour)
	st := w.start(request("later"))
	w.check(st.ID, code(t, w.sms), codes.Approved, 4)
}

// TestPendingBounded: a recipient has five pending verifications at most.
func TestPendingBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var err error
	for i := range codes.MaxPending + 1 {
		r := request(string(rune('a' + i)))
		r.To = append(r.To, codes.Address{Channel: orders.Email, To: orders.Recipient(r.Key + "@example.org")})
		r.FallbackAfter = time.Hour
		_, err = w.Start(t.Context(), r)
		if i < codes.MaxPending && err != nil {
			t.Fatal(err)
		}
	}
	var limit *codes.LimitError
	if !errors.As(err, &limit) || limit.After != 5*time.Minute {
		t.Error(err)
	}
	w.pass(5 * time.Minute)
	w.start(request("later"))
}

// TestExpires: the keeper ends what nobody has used, and tells that its code was not.
func TestExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st := w.start(request("1"))
	w.pass(5*time.Minute + time.Second)
	w.ended(st.ID, code(t, w.sms), codes.Expired)
	changed := w.Changed("ttd")
	w.run()
	<-changed
	if got := w.statuses(); !slices.Equal(got, []codes.Status{codes.Pending, codes.Expired}) {
		t.Error(got)
	}
	eventually.True(t, "the use to be told", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return slices.Equal(w.used, []bool{false}) })
	w.ended(st.ID, code(t, w.sms), codes.Expired)
}

// TestForward: a clock that was moved ahead ends what is pending, and the keeper says so at once. What begins later lasts
// as long as ever.
func TestForward(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st := w.start(request("1"))
	w.run()
	changed := w.Changed("ttd")
	w.Forward(5 * time.Minute)
	<-changed
	w.ended(st.ID, code(t, w.sms), codes.Expired)
	if later := w.start(request("2")); !later.Created || !later.Expires.Equal(w.clock().Add(10*time.Minute)) {
		t.Errorf("%+v", later)
	}
}

// TestFallsBack: a code that nobody has used in time goes out on the other channel too, once, whatever fails.
func TestFallsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st := w.start(withMail(request("1")))
	used := w.start(func() *codes.Request { r := withMail(request("2")); r.To[0].To = "+4799999998"; return r }())
	w.check(used.ID, code(t, w.sms), codes.Approved, 4)
	w.email.Does(notSent)
	w.pass(time.Minute)
	stop := w.run()
	eventually.True(t, "an attempt", func() bool { return len(w.email.Sent()) == 1 })
	stop()
	w.restart()
	w.email.Sends(nil)
	w.pass(5 * time.Second)
	w.run()
	eventually.True(t, "the mail", func() bool { return len(w.email.Sent()) == 2 })
	c := digits.FindString(w.sms.Sent()[0].Body)
	if code(t, w.email) != c || w.email.Sent()[1].Subject != "Koden din for ttd" {
		t.Error("another code, or subject")
	}
	got, err := w.Get(t.Context(), "ttd", st.ID)
	if err != nil || len(got.Channels) != 2 {
		t.Errorf("%+v %v", got, err)
	}
	w.check(st.ID, c, codes.Approved, 4)
}

// TestCancel ends one for good, twice.
func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st := w.start(request("1"))
	for range 2 {
		if err := w.Cancel(t.Context(), "ttd", st.ID); err != nil {
			t.Error(err)
		}
	}
	w.ended(st.ID, code(t, w.sms), codes.Cancelled)
	if err := w.Cancel(t.Context(), "other", st.ID); !errors.Is(err, codes.ErrNotFound) {
		t.Error(err)
	}
	if got := w.statuses(); !slices.Equal(got, []codes.Status{codes.Pending, codes.Cancelled}) {
		t.Error(got)
	}
}

// TestKeysRotate: a verification remembers its key, and is found by its recipient with either.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st := w.start(request("1"))
	c := code(t, w.sms)
	w.keys = codes.Keys{Active: codes.NewKey(), Former: w.keys.Active}
	w.restart()
	w.pass(30 * time.Second)
	if again := w.start(request("2")); again.ID != st.ID || code(t, w.sms) != c {
		t.Error("another verification, or code")
	}
	if got, err := w.CheckRecipient(t.Context(), "ttd", codes.Address{Channel: orders.SMS, To: phone}, "", wrong(c)); err != nil || got.ID != st.ID {
		t.Error(got, err)
	}
	w.check(st.ID, c, codes.Approved, 3)
	st = w.start(request("3"))
	w.keys = codes.Keys{Active: codes.NewKey()}
	w.restart()
	w.ended(st.ID, code(t, w.sms), codes.Expired) // nobody can check it any more
	if !strings.Contains(w.log.String(), "its key is not in the configuration any more") {
		t.Error("nobody is told")
	}
	w.pass(5 * time.Minute)
	w.run()
	eventually.True(t, "its end", func() bool { s := w.statuses(); return s[len(s)-1] == codes.Expired })
}

// TestRetention: what has ended leaves after its time, with its keys and its part of the feed.
func TestRetention(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st := w.start(request("1"))
	w.check(st.ID, code(t, w.sms), codes.Approved, 4)
	w.pass(89 * 24 * time.Hour)
	stop := w.run()
	w.ended(st.ID, "123456", codes.Approved)
	stop()
	w.pass(48 * time.Hour)
	w.run()
	eventually.True(t, "it to leave", func() bool {
		_, err := w.CheckCode(t.Context(), "ttd", st.ID, "123456")
		page, _ := w.Feed(t.Context(), codes.FeedQuery{Organisation: "ttd", Limit: 10})
		return errors.Is(err, codes.ErrNotFound) && len(page) == 0
	})
	err := w.journal.ViewCodes(t.Context(), func(r codes.Reader) error {
		for _, table := range codes.Tables() {
			keys, next, err := r.Due(table, w.clock().Add(1000*24*time.Hour), 10)
			if len(keys) > 0 || !next.IsZero() || err != nil {
				t.Errorf("%c: %d left, %v", table, len(keys), err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestCanaries: no code, number or address is in the file or the log, and no code in the feed.
func TestCanaries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := withMail(request("1"))
	r.Length = 10 // so that it is in the file by chance once in millions of runs
	st := w.start(r)
	c := code(t, w.sms)
	w.check(st.ID, wrong(c), codes.Pending, 4)
	var records [][]byte
	for range 2 { // pending, and approved
		err := w.journal.ViewCodes(t.Context(), func(r codes.Reader) error {
			for _, table := range codes.Tables() {
				keys, _, err := r.Due(table, w.clock().Add(1000*24*time.Hour), 10)
				if err != nil {
					return err
				}
				for _, k := range keys {
					record, err := r.Get(table, k)
					if err != nil {
						return err
					}
					records = append(records, k, record)
				}
			}
			page, err := r.Feed("ttd", 0, 10, false)
			for _, e := range page {
				records = append(records, e.Entry)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		w.CheckCode(t.Context(), "ttd", st.ID, c)
	}
	if len(records) < 10 {
		t.Fatalf("%d records", len(records))
	}
	for _, canary := range []string{c, string(phone), "99999999", "ola@example.org"} {
		for _, record := range append(records, w.log.Bytes()) {
			if bytes.Contains(record, []byte(canary)) {
				t.Errorf("%q is in %q", canary, record)
			}
		}
	}
	if err := w.journal.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(w.path)
	w.open()
	if err != nil || bytes.Contains(file, []byte(c)) {
		t.Errorf("the code is in the file, %v", err)
	}
}

// TestStoreFails: a caller is told, and the attempt is not given back.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st := w.start(request("1"))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.CheckCode(gone, "ttd", st.ID, code(t, w.sms)); !errors.Is(err, orders.ErrUnavailable) {
		t.Error(err)
	}
	if _, err := w.Start(gone, request("2")); !errors.Is(err, orders.ErrUnavailable) {
		t.Error(err)
	}
}
