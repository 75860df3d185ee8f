package smpp

import (
	"fmt"
	"strings"

	"straks/smpp/gsm"
)

// Numbering is type of number and numbering plan of an address (SMPP 3.4
// §5.2.5, §5.2.6).
type Numbering struct {
	TON int // 0 to 6
	NPI int // 0, 1, 3, 4, 6, 8, 9, 10, 14 or 18
}

// kind is a kind of sender. It decides type of number and numbering plan.
type kind uint8

const (
	noSender      kind = iota // the SMSC uses its own
	alphanumeric              // "Skatten"
	shortCode                 // "2440"
	international             // "+4799999999"
)

var kindNames = [...]string{"none", "alphanumeric", "short code", "international"}

func (k kind) String() string { return kindNames[k] }

// Limits of addresses.
const (
	maxAlphanumeric = 11 // septets: the address field on the air has 10 octets (3GPP TS 23.040 §9.1.2.5)
	maxShortCode    = 8  // digits; longer ones are international numbers without '+'
	minNumber       = 7  // digits, country code included
	maxNumber       = 15 // digits (ITU-T E.164 §6.2.1)
)

// parseSender finds the kind of sender:
//
//   - nothing: the SMSC's own;
//   - "+4799999999", "004799999999", and 9 to 15 bare digits: an international number;
//   - 1 to 8 bare digits: a short code;
//   - else alphanumeric, at most 11 GSM characters.
//
// The address is returned as it goes into source_addr, without '+'. Letters beyond ASCII
// are coded in ISO 8859-1, as the SMSCs that accept any expect.
func parseSender(s string) (k kind, addr string, err error) {
	s = gsm.Normalize(s)
	digits, plus := strings.CutPrefix(s, "+")
	if !plus && strings.HasPrefix(s, "00") && len(s) > maxShortCode {
		digits, plus = s[2:], true
	}
	switch {
	case s == "":
		return noSender, "", nil
	case !onlyDigits(digits) && plus && len(digits) > 0 && digits[0] >= '0' && digits[0] <= '9':
		return 0, "", fmt.Errorf("sender starts like a phone number but is none: use '+' and digits only")
	case !onlyDigits(digits):
		addr, err = alphanumericAddr(s)
		return alphanumeric, addr, err
	case !plus && len(digits) <= maxShortCode:
		return shortCode, digits, nil
	case len(digits) < minNumber || len(digits) > maxNumber || digits[0] == '0':
		return 0, "", fmt.Errorf("sender is no international number: use '+', country code and %d to %d digits in all",
			minNumber, maxNumber)
	}
	return international, digits, nil
}

// CheckSender returns why s can't be the sender of a message, or nil. Empty is
// no fault: a default sender replaces it.
func CheckSender(s string) error {
	_, _, err := parseSender(s)
	return err
}

// maxFitted is the length in octets up to which a sender is made to fit.
const maxFitted = 1024

// FitSender returns an alphanumeric sender as it can leave: with look-alikes in place of characters
// that GSM 03.38 lacks, and cut to 11 of its characters ("Skatteetaten" becomes "Skatteetate"). Other
// senders, and those that can't be made to fit, come back as they are.
func FitSender(s string) string {
	if plainName(s) || len(s) > maxFitted { // plain as nearly all are
		return s
	}
	if k, _, err := parseSender(s); err == nil || k != alphanumeric {
		return s
	}
	fit := gsm.Normalize(gsm.Transliterate(strings.TrimSpace(s)))
	if _, err := gsm.Encode(gsm.GSM7, fit); fit == "" || err != nil {
		return s
	}
	septets := 0
	for i, r := range fit {
		one, _ := gsm.Encode(gsm.GSM7, string(r))
		if septets += len(one); septets > maxAlphanumeric {
			fit = fit[:i]
			break
		}
	}
	return strings.TrimSpace(fit)
}

// alphanumericAddr checks the sender and returns its octets.
func alphanumericAddr(s string) (string, error) {
	if plainName(s) {
		return s, nil
	}
	if len(s) > maxFitted {
		return "", fmt.Errorf("sender is much longer than the %d GSM characters that are possible", maxAlphanumeric)
	}
	if gsm.Choose(s, gsm.GSM7) != gsm.GSM7 {
		return "", fmt.Errorf("sender has a character outside the GSM alphabet")
	}
	septets, err := gsm.Encode(gsm.GSM7, s)
	if err != nil {
		return "", fmt.Errorf("sender: %w", err)
	}
	if len(septets) > maxAlphanumeric {
		return "", fmt.Errorf("sender has %d GSM characters, at most %d are possible", len(septets), maxAlphanumeric)
	}
	if strings.TrimSpace(s) != s || strings.ContainsAny(s, "\r\n\f") {
		return "", fmt.Errorf("sender has a blank at an end or a line break")
	}
	octets, err := gsm.Encode(gsm.Latin1, s)
	if err != nil {
		return "", fmt.Errorf("sender has a character that an address can't hold")
	}
	return string(octets), nil
}

// plainName reports whether the sender has only ASCII letters and digits, as nearly all
// have. Each is one septet, and the same in every alphabet.
func plainName(s string) bool {
	for _, c := range []byte(s) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return len(s) <= maxAlphanumeric
}

// parseRecipient returns the digits of an international number like
// "+4799999999".
func parseRecipient(s string) (string, error) {
	digits, plus := strings.CutPrefix(s, "+")
	if !plus || !onlyDigits(digits) || len(digits) < minNumber || len(digits) > maxNumber || digits[0] == '0' {
		return "", fmt.Errorf("recipient is no international number: use '+', country code and %d to %d digits in all",
			minNumber, maxNumber)
	}
	return digits, nil
}

// onlyDigits reports whether s has no other characters. It is true for "".
func onlyDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}
