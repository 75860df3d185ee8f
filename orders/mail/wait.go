package mail

import (
	"time"

	"straks/smtp"
)

// Bounds of Wait.Time. The longest is the wait of the wire contract.
const (
	ShortestWait = time.Minute
	LongestWait  = 48 * time.Hour
)

// Wait is how long the reports about the mails of one relay are waited for, and what their absence means.
type Wait struct {
	Time     time.Duration // from acceptance; 0: until the order's TTL has passed
	NoReport NoReport
}

// NoReport is what a mail is of which no report has come.
type NoReport string

const (
	// ByRelay: FailedTTL where the relay was asked for reports of delivery, else Succeeded.
	ByRelay NoReport = ""
	// Succeeded: Email_Succeeded is the last status. Silence is no failure: one would have been reported.
	Succeeded NoReport = "succeeded"
	// FailedTTL: Email_Failed_TTL.
	FailedTTL NoReport = "failed_ttl"
)

// wait returns how long to wait for reports about a mail, and whether none comes if it arrives.
func (c *Channel) wait(r smtp.Result) (wait time.Duration, unreported bool) {
	w := c.config.Load().Waits[r.Relay]
	if w.NoReport == ByRelay {
		return w.Time, !r.Reports
	}
	return w.Time, w.NoReport == Succeeded
}
