package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/google/uuid"

	"straks/codes"
	"straks/internal/audit"
)

// checkAnswer is what came of a code.
type checkAnswer struct {
	ID           uuid.UUID    `json:"verificationId"`
	Status       codes.Status `json:"status"`
	AttemptsLeft int          `json:"attemptsLeft"`
}

// checkCode checks the code of a verification.
func (a *api) checkCode(octets int64) endpoint {
	return func(x *exchange) error {
		id, err := verificationID(x)
		if err != nil {
			return err
		}
		return a.try(x, octets, false, func(ctx context.Context, at attempt) (codes.Checked, error) {
			return a.codes.CheckCode(ctx, x.who.Organisation, id, at.code)
		})
	}
}

// checkRecipient checks the code of a recipient's newest verification.
func (a *api) checkRecipient(octets int64) endpoint {
	return func(x *exchange) error {
		return a.try(x, octets, true, func(ctx context.Context, at attempt) (codes.Checked, error) {
			return a.codes.CheckRecipient(ctx, x.who.Organisation, at.to, at.template, at.code)
		})
	}
}

func (a *api) try(x *exchange, octets int64, byRecipient bool, check func(context.Context, attempt) (codes.Checked, error)) error {
	defer a.release(x)
	body, err := a.readBody(x, octets)
	if err != nil {
		return err
	}
	at, f := a.decodeAttempt(x, body, byRecipient)
	if f != nil {
		return invalid(f, "No attempt was counted.")
	}
	got, err := check(x.r.Context(), at)
	a.recordCheck(x, got, err)
	if err != nil {
		return err
	}
	return x.reply(http.StatusOK, checkAnswer{got.ID, got.Status, got.AttemptsLeft})
}

// recordCheck adds a check to the audit.
func (a *api) recordCheck(x *exchange, got codes.Checked, err error) {
	e := audit.Event{Action: audit.CheckVerification, Outcome: "wrong"}
	var ended *codes.EndedError
	switch {
	case errors.As(err, &ended):
		got.ID, e.Outcome = ended.ID, string(ended.Status)
	case err != nil:
		e.Outcome = cmp.Or(problemOf(err).outcome, "error")
	case got.Status == codes.Approved:
		e.Outcome = string(codes.Approved)
	}
	if got.ID != uuid.Nil {
		e.Object = got.ID.String()
	}
	a.record(x, e)
}

// verificationEntry is an entry of the feed on the wire.
type verificationEntry struct {
	Sequence         uint64       `json:"sequenceNumber"`
	ID               uuid.UUID    `json:"verificationId"`
	SendersReference string       `json:"sendersReference,omitempty"`
	Template         string       `json:"template"`
	Status           codes.Status `json:"status"`
	LastUpdate       timestamp    `json:"lastUpdate"`
	Expires          timestamp    `json:"expires"`
	AttemptsLeft     int          `json:"attemptsLeft"`
	Messages         int          `json:"messages"`
}

// EncodeVerification returns an entry of the feed of verifications as JSON, as the feed has it.
func EncodeVerification(e codes.Entry) []byte {
	body, err := json.Marshal(verificationEntry{e.Seq, e.Verification, e.SendersReference, e.Template, e.Status, timestamp(e.At), timestamp(e.Expires), e.AttemptsLeft, e.Messages})
	if err != nil {
		panic(err) // strings, numbers and times can't fail
	}
	return body
}

// gone is the answer about a verification that has ended.
func gone(e *codes.EndedError) *problem {
	words := map[codes.Status][3]string{
		codes.Expired:   {codeExpired, "The verification has expired", "Its time has passed: start another one."},
		codes.Approved:  {codeUsed, "The code was used", "A code can be used once."},
		codes.Exhausted: {codeExhausted, "No attempts are left", "There were too many wrong codes: start another verification."},
		codes.Cancelled: {codeCancelled, "The verification was cancelled", "Start another one."},
	}[e.Status]
	return &problem{Title: words[1], Status: http.StatusGone, Detail: words[2], Code: words[0], outcome: string(e.Status)}
}
