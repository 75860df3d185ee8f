package config

import (
	"cmp"
	"errors"
	"reflect"
	"time"

	"straks/dlr"
	"straks/internal/faults"
	"straks/smpp"
)

// SMSC is one account at one SMSC: the gateway's keys, and those that only the file has.
type SMSC struct {
	smpp.SMSC

	// PasswordFile is the file that holds the account's password: a path, or the
	// name of a credential. Default none: the password is empty.
	PasswordFile string

	// AnswerIDs and ReceiptIDs are how the SMSC spells message ids in its responses and
	// in its receipts: "as-is" (default), "decimal", "hex" or "fold" (letter case and
	// leading zeros mean nothing). Where receipts match nothing, the log and
	// straks_receipts_mismatched_total name the forms that would have matched.
	AnswerIDs  string
	ReceiptIDs string
	// OneReceipt makes a receipt for any part of a long message count for all of it. For
	// SMSCs that send a single receipt, or give all parts one message id. Default false:
	// each part has a receipt.
	OneReceipt bool
	// SettleByRecipient settles a message whose answer never came, and whose receipt has no
	// user_message_reference, by a receipt with an unknown id for the same recipient, if there is no
	// other such message to that recipient. Default true. It must be off where the SMSC uses message
	// ids again within minutes, or where other programs send over the same account.
	SettleByRecipient bool
	// Errors is the meaning of the SMSC's error codes in receipts: from the code as the
	// receipt writes it to "barred", "absent", "unknown-subscriber",
	// "invalid-number", "unsupported", "memory-full", "network", "rejected",
	// "expired", "deleted" or "none". Default none.
	Errors map[string]string

	// States is the meaning of the states in the SMSC's receipts, where that is not the usual: from
	// the word or number after "stat:", or the number of TLV message_state, to "delivered", "accepted" (not final), "failed",
	// "undelivered", "expired", "deleted", "rejected", "barred", "invalid_recipient" or
	// "not_identified". Letter case, blanks, '_', '-' and '.' don't count. Default none: the states of
	// SMPP 3.4 and words that many SMSCs use.
	States map[string]string
	// AcceptedIsFinal makes a receipt with the state ACCEPTD count as delivered, for SMSCs that send none after it.
	// Default false: it changes nothing, and a later one does.
	AcceptedIsFinal bool

	// ReceiptWait is how long a receipt may wait until it is stored. Then the SMSC gets ESME_RX_T_APPN and sends it
	// again, often minutes later. Shorter than the SMSC's wait for deliver_sm_resp. At most 1m. Default 0, which stands for 1s.
	ReceiptWait time.Duration

	dialect dlr.Dialect
}

func (s *SMSC) setDefaults() { s.SettleByRecipient = true }

// reserved keeps the password out of the file.
func (s *SMSC) reserved() map[string]string { return passwordReserved }

var passwordReserved = map[string]string{
	"password": "does not belong here: put it in a file of its own and name that file as password_file",
}

// check checks the keys that only the file has; the gateway's Check checks the others.
func (s *SMSC) check(c *checker) {
	c.Name("name", s.Name)
	if s.ReceiptWait != 0 {
		c.Duration("receipt_wait", s.ReceiptWait, 100*time.Millisecond, time.Minute)
	}
	if s.Password = c.secret("password_file", s.PasswordFile); len(s.Password) > 8 {
		c.warn("password_file", "holds a password of %d characters, and SMPP 3.4 has 8: not every SMSC takes it", len(s.Password))
	}
	tls := c.in("tls")
	tls.authorities("ca_file", s.TLS.CAFile)
	tls.keyPair("cert_file", &s.TLS.CertFile, "key_file", &s.TLS.KeyFile)
	s.dialect.Answer = c.form("answer_ids", s.AnswerIDs)
	s.dialect.Receipt = c.form("receipt_ids", s.ReceiptIDs)
	s.dialect.Errors = codeTable(c, "errors", s.Errors, dlr.NewErrorTable)
	s.dialect.States = codeTable(c, "states", s.States, dlr.NewStateTable)
	s.dialect.AcceptedIsFinal = s.AcceptedIsFinal
	s.dialect.OneReceipt = s.OneReceipt
}

func (c *checker) form(key, s string) dlr.Form {
	form, err := dlr.ParseForm(cmp.Or(s, dlr.AsIs.String()))
	c.Unless(err == nil, key, "%v", err)
	return form
}

// codeTable reads a table of package dlr, whose faults are about its keys.
func codeTable[T any](c *checker, key string, settings map[string]string, read func(map[string]string) (T, error)) T {
	table, err := read(settings)
	for _, err := range unjoin(err) {
		var fault *dlr.CodeError
		if errors.As(err, &fault) {
			c.In(key).Add(fault.Code, "%v", fault.Err)
		}
	}
	return table
}

// Gateway returns the configuration of the SMPP gateway.
func (cfg *Config) Gateway() smpp.Config {
	gateway := cfg.asWritten()
	for i := range gateway.SMSCs {
		s := &gateway.SMSCs[i]
		s.Sender = cmp.Or(s.Sender, cfg.SMS.DefaultSender)
	}
	return gateway
}

// asWritten returns the gateway's part as the file has it, for checking.
func (cfg *Config) asWritten() smpp.Config {
	gateway := smpp.Config{DrainTime: cfg.SMS.DrainTime, Routes: cfg.Routes}
	for _, s := range cfg.SMSCs {
		gateway.SMSCs = append(gateway.SMSCs, s.SMSC)
	}
	return gateway
}

// checkCarriers checks the keys that only the file has, and lets each carrier's package
// check its own.
func (cfg *Config) checkCarriers(c *checker) {
	for i, defaults := range cfg.asWritten().WithDefaults().SMSCs {
		cfg.SMSCs[i].check(c.at("smsc", i))
		c.zeros("smsc", i, cfg.SMSCs[i].SMSC, defaults)
	}
	if len(cfg.SMSCs) > 0 || len(cfg.Routes) > 0 {
		for _, f := range cfg.asWritten().Check() {
			if f.Key == "drain_time" { // the file has it in [sms]
				f.Key = "sms.drain_time"
			}
			c.Add(f.Key, "%s", f.Message)
		}
	}
	cfg.checkRelays(c)
	cfg.checkRoutes(c)
}

// zeros records numbers that the file gives as 0 where 0 stands for another default: the
// operator means to turn something off, and would not.
func (c *checker) zeros(table string, i int, carrier, withDefaults any) {
	items, _ := asList(c.file.top[table])
	given, _ := items[i].(map[string]any)
	have, will := reflect.ValueOf(carrier), reflect.ValueOf(withDefaults)
	for _, f := range fieldsOf(have.Type()) {
		v, d := have.FieldByIndex(f.index), will.FieldByIndex(f.index)
		if given[f.name] != nil && (v.CanInt() || v.CanFloat()) && v.IsZero() && !d.IsZero() {
			c.At(table, i).Add(f.name, "is 0, which stands for the default, %v: leave it out, or give another value", d)
		}
	}
}

// checkRoutes records routes of unknown organisations: such a route never matches, and the
// messages would silently take another.
func (cfg *Config) checkRoutes(c *checker) {
	check := func(l *faults.List, organisations []string) {
		for j, name := range organisations {
			l.Unless(cfg.Has(name), faults.Index("organisations", j), "is %q: no organisation has that name", name)
		}
	}
	for i, r := range cfg.Routes {
		check(c.At("route", i), r.Organisations)
	}
	for i, r := range cfg.MailRoutes {
		check(c.At("mail_route", i), r.Organisations)
	}
}

// unjoin returns the errors that errors.Join made one of.
func unjoin(err error) []error {
	switch joined := err.(type) {
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		return joined.Unwrap()
	}
	return []error{err}
}
