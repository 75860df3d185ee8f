package daemon_test

import (
	"strings"
	"testing"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// TestChannelsAndSenders: an organisation sends on its channels and from its senders only; any other gets 400, which says
// what is allowed; and a reload changes both.
func TestChannelsAndSenders(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.EditConfig("[[organisation]]\n", "[[organisation]]\nsms_sender = \"Default\"\nsms_senders = [\"Skatt\", \"2077\"]\nchannels = [\"sms\"]\n")
	w.Start()
	send := func(key, sender string) error {
		_, err := w.Client.SendSMS(t.Context(), client.SMS{IdempotencyID: key, Recipient: client.SMSRecipient{PhoneNumber: "+4799999999", TTLSeconds: 300, Settings: client.SMSSettings{Sender: sender, Body: "1"}}})
		return err
	}
	mail := func(key string) error {
		_, err := w.Client.SendEmail(t.Context(), client.Email{IdempotencyID: key, Recipient: client.EmailRecipient{EmailAddress: "kari@example.org", Settings: client.EmailSettings{Subject: "s", Body: "b"}}})
		return err
	}
	for _, sender := range []string{"", "Default", "Skatt", "2077"} {
		if err := send("ok "+sender, sender); err != nil {
			t.Errorf("%q: %v", sender, err)
		}
	}
	if err := send("other", "Bank"); err == nil || !strings.Contains(err.Error(), "400") || !strings.Contains(err.Error(), "recipientSms.smsSettings.sender: is none that your organisation may send from (organisation.sms_senders): Skatt, 2077") {
		t.Error(err)
	}
	if err := mail("mail"); err == nil || !strings.Contains(err.Error(), "recipientEmail: is a channel that your organisation does not use (organisation.channels)") {
		t.Error(err)
	}
	w.EditConfig(`channels = ["sms"]`, `channels = ["email"]`)
	if _, err := w.Daemon.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := mail("mail"); err != nil {
		t.Error(err)
	}
	if err := send("now", ""); err == nil || !strings.Contains(err.Error(), "recipientSms: is a channel") {
		t.Error(err)
	}
	if err := send("ok Skatt", "Skatt"); err != nil { // a repeat
		t.Error(err)
	}
	w.Stop()
}
