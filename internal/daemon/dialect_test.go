package daemon_test

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
	"time"

	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
	"straks/smtp/relaytest"
)

// Receipts whose ids have another form than the answers' are matched with the right
// setting. With a wrong one the log and a metric name the right one.
func TestMessageIDForms(t *testing.T) {
	for _, c := range []struct {
		answer, receipt smsctest.IDForm
		setting         string // empty: the default matches
		hint            string
	}{
		{smsctest.IDHex, smsctest.IDDecimal, `answer_ids = "hex"` + "\n" + `receipt_ids = "decimal"`, "answers hex, receipts decimal"},
		{smsctest.IDDecimal, smsctest.IDHexUpper, `receipt_ids = "hex"`, "answers as-is, receipts hex"},
		{smsctest.IDHexUpper, smsctest.IDHex, `answer_ids = "hex"` + "\n" + `receipt_ids = "hex"`, "answers hex, receipts hex"},
		{smsctest.IDHexPadded, smsctest.IDDecimalPadded, `answer_ids = "hex"` + "\n" + `receipt_ids = "decimal"`, "answers hex, receipts decimal"},
		{smsctest.IDDecimalPadded, smsctest.IDDecimal, "", ""},
		{smsctest.IDUUIDUpper, smsctest.IDUUID, "", ""},
	} {
		t.Run(fmt.Sprint(c.answer, "-", c.receipt), func(t *testing.T) {
			t.Parallel()
			profile := smsctest.Profile{FirstID: 0xA1B2C3D4} // its hex has letters
			profile.AnswerID, profile.Receipt.ID, profile.Receipt.Delay = c.answer, c.receipt, 20*time.Millisecond
			w := daemontest.New(t, profile, c.setting)
			w.Await(w.Send("k", "+4799999999").ShipmentID, "SMS_Delivered")
			if c.hint != "" {
				untold(t, profile, c.hint)
			}
		})
	}
}

func untold(t *testing.T, profile smsctest.Profile, hint string) {
	w := daemontest.NewStopped(t, profile, relaytest.Profile{}, "")
	log := w.KeepLog()
	w.Start()
	n := 0
	eventually.True(t, "the hint "+hint, func() bool { // a receipt that overtakes its answer has no hint
		n++
		w.Send(fmt.Sprint("k", n), "+4799999999")
		return strings.Contains(log.String(), fmt.Sprintf(`"smsc":"telco","message_id_form":%q`, hint))
	})
	series := fmt.Sprintf(`straks_receipts_mismatched_total{form=%q,smsc="telco"}`, hint)
	if _, metrics := w.Admin("/metrics"); !strings.Contains(metrics, series) || strings.Contains(metrics, series+" 0") {
		t.Errorf("no %s", series)
	}
}

// The SMSC's table decides what an error code means, in the text or in a TLV, of a
// deliver_sm or a data_sm.
func TestErrorCodes(t *testing.T) {
	codes := map[string]string{"013": "SMS_Failed_BarredReceiver", "1": "SMS_Failed_RecipientNotIdentified", "027": "SMS_Failed_Undelivered"}
	profile, want := smsctest.Profile{}, map[string]string{}
	for code, status := range codes {
		for _, form := range []smsctest.Form{smsctest.TextOnly, smsctest.TLVOnly} {
			for _, dataSM := range []bool{false, true} {
				suffix := fmt.Sprintf("%02d", 10+len(want))
				profile.On(suffix, func(b *smsctest.Behaviour) {
					b.Receipt = smsctest.Receipt{State: "UNDELIV", Err: code, Form: form, DataSM: dataSM}
				})
				want["+47999999"+suffix] = status
			}
		}
	}
	w := daemontest.New(t, profile, `errors = { "13" = "barred", "001" = "unknown-subscriber", "27" = "absent" }`)
	for number, status := range want {
		w.Await(w.Send(number, number).ShipmentID, status)
	}
}

// With one_receipt a receipt for any part of a long message is about the whole message:
// if there is only one, if all parts have the same id, if the answers come too late.
func TestOneReceipt(t *testing.T) {
	for name, c := range map[string]struct {
		quirk   func(*smsctest.Behaviour)
		setting string
		want    string
	}{
		"for the last part":       {func(b *smsctest.Behaviour) { b.Receipt.LastPart = true }, "one_receipt = true", "SMS_Accepted SMS_Delivered"},
		"ahead of the answer":     {func(b *smsctest.Behaviour) { b.Receipt.LastPart, b.Receipt.Early = true, true }, "one_receipt = true", "SMS_Accepted SMS_Delivered"},
		"one id":                  {func(b *smsctest.Behaviour) { b.Receipt.LastPart, b.IDReuse = true, 1 }, "one_receipt = true", "SMS_Accepted SMS_Delivered"},
		"for each part, one id":   {func(b *smsctest.Behaviour) { b.IDReuse = 1 }, "one_receipt = true", "SMS_Accepted SMS_Delivered"},
		"failed":                  {func(b *smsctest.Behaviour) { b.Receipt.LastPart, b.Receipt.State = true, "UNDELIV" }, "one_receipt = true", "SMS_Accepted SMS_Failed_Undelivered"},
		"late answers":            {func(b *smsctest.Behaviour) { b.Receipt.LastPart, b.Delay = true, 400*time.Millisecond }, "one_receipt = true\nresponse_timeout = \"100ms\"", "SMS_Delivered"},
		"not set, for each part":  {func(b *smsctest.Behaviour) {}, "", "SMS_Accepted SMS_Delivered"},
		"not set, for one of all": {func(b *smsctest.Behaviour) { b.Receipt.LastPart = true }, "", "SMS_Accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			profile := smsctest.Profile{}
			profile.Receipt.Delay = 20 * time.Millisecond
			c.quirk(&profile.Behaviour)
			w := daemontest.New(t, profile, c.setting)
			order := daemontest.SMS("k", "+4799999999")
			order.Recipient.Settings.Body = longText
			p, err := w.Client.SendSMS(t.Context(), order)
			if err != nil {
				t.Fatal(err)
			}
			eventually.True(t, "receipts", func() bool { s := w.SMSC.Stats(); return s.Receipts > 0 && s.Acked == s.Receipts })
			if got := w.Statuses(p.ShipmentID); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// An intermediate receipt changes no status.
func TestIntermediateReceipts(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"ENROUTE", "ACCEPTD", "UNDELIV"} {
		profile := smsctest.Profile{}
		profile.Receipt = smsctest.Receipt{Intermediate: state, Delay: 50 * time.Millisecond, DataSM: state == "ENROUTE"}
		w := daemontest.New(t, profile, "")
		p := w.Send("k", "+4799999999")
		w.Await(p.ShipmentID, "SMS_Delivered")
		if got := w.Statuses(p.ShipmentID); got != "SMS_Accepted SMS_Delivered" {
			t.Errorf("%s: %s", state, got)
		}
	}
}

func TestStatusOverrides(t *testing.T) {
	profile := smsctest.Profile{}
	profile.On("91", func(b *smsctest.Behaviour) { b.Status = wire.ESMESubmitFail })
	profile.On("92", func(b *smsctest.Behaviour) { b.Status = 0x401 })
	profile.On("93", func(b *smsctest.Behaviour) { b.Status = 0x402 })
	profile.On("94", func(b *smsctest.Behaviour) { b.Status = wire.ESMESysErr })
	w := daemontest.New(t, profile, `status = { ESME_RSUBMITFAIL = "barred", "0x401" = "invalid_recipient", ESME_RSYSERR = "rejected" }`)
	for number, want := range map[string]string{"+4799999991": "SMS_Failed_BarredReceiver", "+4799999992": "SMS_Failed_InvalidRecipient",
		"+4799999993": "SMS_Failed", "+4799999994": "SMS_Failed_Rejected"} {
		if got := w.Status(w.Send(number, number).ShipmentID); got != want {
			t.Errorf("%s: %s, want %s", number, got, want)
		}
	}
}

// An SMSC has three message ids, and sends each receipt twice, before the answer, over
// any of the binds: every message gets its own status.
func TestMessageIDsComeRound(t *testing.T) {
	t.Parallel()
	profile := smsctest.Profile{AckTimeout: 50 * time.Millisecond}
	profile.IDReuse, profile.Delay, profile.Jitter = 3, 30*time.Millisecond, 30*time.Millisecond
	profile.Receipt = smsctest.Receipt{Early: true, Duplicate: 2}
	profile.On("5", func(b *smsctest.Behaviour) { b.Receipt.State = "UNDELIV" })
	profile.On("6", func(b *smsctest.Behaviour) { b.Receipt.Form = smsctest.TLVOnly })
	profile.On("7", func(b *smsctest.Behaviour) { b.Receipt.State, b.Receipt.Form = "EXPIRED", smsctest.TextOnly })
	w := daemontest.New(t, profile, "binds = 3")
	want := make(map[string]string)
	for n := range 24 {
		if n == 12 {
			w.Stop()
			w.Start()
		}
		number := fmt.Sprintf("+47948398%02d", n)
		status := map[int]string{5: "SMS_Failed_Undelivered", 7: "SMS_Failed_Expired"}[n%10]
		want[w.Send(number, number).ShipmentID] = cmp.Or(status, "SMS_Delivered")
	}
	for id, status := range want {
		w.Await(id, status)
		if got := w.Statuses(id); got != "SMS_Accepted "+status {
			t.Errorf("feed: %s, want %s", got, status)
		}
	}
}
