package smtp

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/prometheus/client_golang/prometheus"
)

// signedFields are the fields that a signature covers. Each is named once more than a mail has it, so that none
// can be added (RFC 6376 §5.4.2), except Feedback-ID, to which others add.
var signedFields = []string{
	"From", "From", "Subject", "Subject", "To", "To", "Date", "Date", "Message-ID", "Message-ID",
	"Reply-To", "Reply-To", "MIME-Version", "MIME-Version", "Content-Type", "Content-Type",
	"Feedback-ID",
}

// signatureLife is how long a signature is valid. Relays keep a mail for five days by default, and several may
// do so in turn.
const signatureLife = 14 * 24 * time.Hour

// What DKIM made of a mail, as a label.
const (
	dkimSigned   = "signed"
	dkimUnsigned = "unsigned" // there is no key for the domain of its From
	dkimFailed   = "failed"   // a key could not sign
)

// signer signs mails by DKIM (RFC 6376, RFC 8463).
type signer struct {
	keys  map[string][]DKIMKey // by domain
	mails *prometheus.CounterVec
	log   *slog.Logger
}

// newSigner returns a signer with these keys. All keys of a domain sign each of its mails.
func newSigner(keys []DKIMKey, mails *prometheus.CounterVec, log *slog.Logger) *signer {
	s := &signer{keys: make(map[string][]DKIMKey), log: log, mails: mails}
	for _, k := range keys {
		s.keys[k.Domain] = append(s.keys[k.Domain], k)
	}
	return s
}

// keysFor returns the keys of the domain, or of the nearest domain above it that has some: a signature of
// example.org is aligned with a From at mail.example.org, unless the latter's DMARC policy has adkim=s
// (RFC 7489 §3.1.1).
func (s *signer) keysFor(domain string) []DKIMKey {
	for above := true; above; _, domain, above = strings.Cut(domain, ".") {
		if keys := s.keys[domain]; len(keys) > 0 {
			return keys
		}
	}
	return nil
}

// sign puts the signatures before the mail, which must not be changed from then on. It is called once for each
// mail, whatever relays try it. A relay has no reason to convert what is signed: the lines are short and in ASCII
// (encodingFor), except the header of a mail that only relays with SMTPUTF8 get.
func (s *signer) sign(l *letter, now time.Time) {
	keys := s.keysFor(l.from.domain)
	if len(keys) == 0 {
		s.mails.WithLabelValues(dkimUnsigned).Inc()
		return
	}
	result := dkimSigned
	var signatures strings.Builder
	for _, k := range keys {
		signature, err := k.sign(l.data, now)
		if err != nil {
			result = dkimFailed
			s.log.LogAttrs(context.Background(), slog.LevelError, "mail not signed", slog.Any("mail", l.message), slog.Any("key", k), slog.Any("error", err))
		}
		signatures.WriteString(signature)
	}
	s.mails.WithLabelValues(result).Inc()
	l.data = append([]byte(signatures.String()), l.data...)
}

// sign returns the field DKIM-Signature of a mail, with its line end.
func (k DKIMKey) sign(mail []byte, now time.Time) (string, error) {
	s, err := dkim.NewSigner(&dkim.SignOptions{
		Domain: k.Domain, Selector: k.Selector, Signer: k.Private,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: signedFields, Expiration: now.Add(signatureLife),
	})
	if err != nil {
		return "", err
	}
	_, err = s.Write(mail)
	if closed := s.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return "", err
	}
	return s.Signature(), nil
}
