package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// VerificationRequest asks for a code. What is zero has the server's default.
type VerificationRequest struct {
	IdempotencyID    string               `json:"idempotencyId"`
	SendersReference string               `json:"sendersReference,omitempty"`
	SMS              *VerificationSMS     `json:"recipientSms,omitempty"`
	Email            *VerificationAddress `json:"recipientEmail,omitempty"`
	FallbackAfter    int                  `json:"fallbackAfterSeconds,omitempty"` // where both are given
	Template         string               `json:"template,omitempty"`
	Language         string               `json:"language,omitempty"`
	CodeLength       int                  `json:"codeLength,omitempty"`
	Alphabet         string               `json:"alphabet,omitempty"` // "digits" or "letters"
	TTLSeconds       int                  `json:"timeToLiveInSeconds,omitempty"`
	Attempts         int                  `json:"attempts,omitempty"`
	ResendAfter      int                  `json:"resendAfterSeconds,omitempty"`
	Origin           string               `json:"origin,omitempty"`
}

// VerificationSMS says to which phone a code goes.
type VerificationSMS struct {
	PhoneNumber string `json:"phoneNumber"`
	Sender      string `json:"sender,omitempty"`
}

// VerificationAddress says to which address a code goes.
type VerificationAddress struct {
	EmailAddress string `json:"emailAddress"`
}

// Verification is the state of one.
type Verification struct {
	VerificationID   string    `json:"verificationId"`
	ShipmentID       string    `json:"shipmentId,omitempty"`
	SendersReference string    `json:"sendersReference,omitempty"`
	Template         string    `json:"template"`
	Status           string    `json:"status"` // "pending", "approved", "expired", "exhausted", "cancelled"
	LastUpdate       time.Time `json:"lastUpdate"`
	Expires          time.Time `json:"expires"`
	AttemptsLeft     int       `json:"attemptsLeft"`
	Messages         int       `json:"messages"`
}

// Checked is what came of a code.
type Checked struct {
	VerificationID string `json:"verificationId"`
	Status         string `json:"status"` // "approved" or "pending": it was wrong
	AttemptsLeft   int    `json:"attemptsLeft"`
}

// StartVerification makes a code and sends it, or continues what is pending. created reports whether it is a new one.
func (c *Client) StartVerification(ctx context.Context, r VerificationRequest) (v Verification, created bool, err error) {
	head, err := c.post(ctx, "/verifications", r, &v)
	if err != nil {
		return Verification{}, false, err
	}
	return v, head.StatusCode == http.StatusCreated, v.check()
}

// Verification returns the state of one.
func (c *Client) Verification(ctx context.Context, id string) (v Verification, err error) {
	if _, err = c.call(ctx, http.MethodGet, "/verifications/"+url.PathEscape(id), nil, &v); err != nil {
		return Verification{}, err
	}
	return v, v.check()
}

// ResendCode sends the code again, on the channel of the first message. Nothing is sent, and Messages stays as it was,
// where the last message is not old enough yet.
func (c *Client) ResendCode(ctx context.Context, id string) (v Verification, err error) {
	if _, err = c.call(ctx, http.MethodPost, "/verifications/"+url.PathEscape(id)+"/resend", nil, &v); err != nil {
		return Verification{}, err
	}
	return v, v.check()
}

// CancelVerification ends a verification that is pending.
func (c *Client) CancelVerification(ctx context.Context, id string) (v Verification, err error) {
	if _, err = c.call(ctx, http.MethodDelete, "/verifications/"+url.PathEscape(id), nil, &v); err != nil {
		return Verification{}, err
	}
	return v, v.check()
}

// CheckCode checks a code. One of a verification that has ended is a *Problem of status 410.
func (c *Client) CheckCode(ctx context.Context, id, code string) (got Checked, err error) {
	_, err = c.post(ctx, "/verifications/"+url.PathEscape(id)+"/check", map[string]string{"code": code}, &got)
	return got, err
}

// CheckRecipient checks the code of a recipient's newest verification.
func (c *Client) CheckRecipient(ctx context.Context, recipient, code string) (got Checked, err error) {
	_, err = c.post(ctx, "/verifications/check", map[string]string{"recipient": recipient, "code": code}, &got)
	return got, err
}

func (c *Client) post(ctx context.Context, path string, in, out any) (*http.Response, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return c.call(ctx, http.MethodPost, path, body, out)
}

// check returns an error for what no straks sends.
func (v Verification) check() error {
	if err := checkID("verificationId", v.VerificationID); err != nil {
		return fmt.Errorf("%w: %w", ErrUnexpected, err)
	}
	return nil
}
