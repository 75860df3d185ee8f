package smtp

import "time"

// A relay is silent when it takes mails and does not reply to their final dots; see package
// silence for the bounds. It may reply to NOOP meanwhile: maintain's probe tells that
// somebody is there, not that the queue behind can be written. What a silent relay gets ends
// as unknown, after its whole send deadline. So it gets no mail except a probe: an ordinary
// mail, one a second if no other relay can take it, one in 30 s if another can. The others go to
// other relays, or are refused at once. The next reply to a dot, late or not, ends this.

// leastSilence is how long replies may be missing at the least. A relay that scans mails for
// longer is known by its late replies after the first of them.
const leastSilence = 5 * time.Second

// written records that a final dot was written.
func (r *relay) written(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silence.Sent(now)
}

// answered records how the wait for the reply to a connection's final dot ended, with a reply
// or without.
func (r *relay) answered(c *conn, res Result) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case res.Code != 0:
		r.silence.Answered(now, now.Sub(c.dotAt), true)
	case hasReason(res.Err, ReasonTimeout):
		r.silence.Missed()
	default:
		r.silence.Lost(now, 1)
	}
}

// missed records that the reply to a final dot is no longer awaited.
func (r *relay) missed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silence.Missed()
}

// replies reports whether the relay is connected and not silent.
func (r *relay) replies() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.health.Open > 0 && !r.silence.Silent(time.Now())
}

// admit returns a *silence.Error if the relay is silent, and the mail is not its probe.
// replaced: another relay can take the mail.
func (r *relay) admit(replaced bool) error {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !r.silence.Silent(now):
		return nil
	case r.silence.Due(now, replaced):
		r.silence.Probed(now)
		return nil
	}
	return r.silence.NewError(r.Name, now)
}

// lastProbe returns when the relay last got a mail while it was silent, zero if it has replied since.
func (r *relay) lastProbe() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.silence.LastProbe()
}

// countSilence counts a mail that was refused, for each relay that is silent.
func countSilence(relays []*relay) {
	for _, r := range relays {
		r.mu.Lock()
		silent := r.silence.Silent(time.Now())
		r.mu.Unlock()
		if silent {
			r.metrics.silent.Inc()
		}
	}
}
