package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"straks/api"
	"straks/codes"
	"straks/hooks"
	"straks/orders"
)

// wireCodes builds verifications over the service, if the configuration has them.
func (d *Daemon) wireCodes() error {
	if !d.config().Verification.On() {
		return nil
	}
	store, ok := d.journal.(codes.Store)
	if !ok {
		return errors.New("verification: this kind of journal keeps no verifications: remove verification.key_file")
	}
	cfg := d.config().Codes()
	cfg.Store, cfg.Orders, cfg.Log, cfg.Registerer = store, d.service, d.log, d.registry
	cfg.Elsewhere = d.onlyElsewhere
	cfg.Used = func(organisation string, to codes.Address, used bool) {
		if to.Channel == orders.SMS {
			d.pumping.Outcome(organisation, to.To, used)
		}
	}
	d.codes = codes.New(cfg)
	return nil
}

// ForwardVerifications moves the clock of verifications ahead, for the sandbox: codes expire without a wait. It does
// nothing where there are no verifications.
func (d *Daemon) ForwardVerifications(by time.Duration) {
	if d.codes != nil {
		d.codes.Forward(by)
	}
}

// verifications is the feed of verifications, for webhooks.
type verifications struct{ *codes.Service }

// Read implements hooks.Source.
func (v verifications) Read(ctx context.Context, q orders.FeedQuery) ([]hooks.Entry, error) {
	page, err := v.Feed(ctx, codes.FeedQuery{Organisation: q.Organisation, Seq: q.Seq, Limit: q.Limit, Descending: q.Descending, FinalOnly: q.FinalOnly})
	entries := make([]hooks.Entry, len(page))
	for i, e := range page {
		entries[i] = hooks.Entry{Seq: e.Seq, About: e.Verification, Final: e.Status.Final(), At: e.At, Encode: func() []byte { return api.EncodeVerification(e) }}
	}
	return entries, err
}

// Sample implements hooks.Source.
func (v verifications) Sample(organisation string, at time.Time) []byte {
	return api.EncodeVerification(codes.Entry{Organisation: organisation, Verification: uuid.Must(uuid.NewV7()), SendersReference: "straks-test",
		Template: codes.DefaultTemplate, Status: codes.Approved, At: at, Expires: at.Add(codes.DefaultTTL), AttemptsLeft: codes.DefaultAttempts - 1, Messages: 1})
}
