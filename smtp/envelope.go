package smtp

// Envelope is what of a mail only mail servers see (RFC 5321 §2.3.1).
type Envelope struct {
	// ReturnPath is the envelope sender, to which servers on the way send their reports. Empty: the null sender,
	// to which nobody sends anything. It is never the sender in From, who can't read reports.
	ReturnPath string

	// Reports: what is sent to ReturnPath comes back to us. Then relays that offer DSN (RFC 3461) are asked
	// to report delivery, delay and failure, with the header of the mail and without its text. Without it
	// they are asked for nothing, and decide themselves.
	Reports bool
}

// parseReturnPath returns a return path as MAIL FROM has it between its angle brackets.
func parseReturnPath(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	a, err := parseAddress(s)
	if err != nil {
		return "", err
	}
	return a.String(), nil
}

// CheckReturnPath returns why an address can't be a return path, or nil. The error continues the sentence that
// begins with the address.
func CheckReturnPath(s string) error {
	_, err := parseReturnPath(s)
	return err
}
