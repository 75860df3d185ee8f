package daemon

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"straks/internal/audit"
	"straks/orders"
)

// ForgetRequest is the body of POST /forget.
type ForgetRequest struct {
	Recipient string `json:"recipient"` // phone number or e-mail address
	Blocks    bool   `json:"blocks"`    // also entries of block lists that an operator or the recipient made
	Reason    string `json:"reason"`    // required, at most 200 octets; it must not name the recipient
	By        string `json:"by"`        // the operator's name
}

// ForgetAnswer is the answer of POST /forget.
type ForgetAnswer struct {
	Shipments int       `json:"shipments"`      // whose recipient was erased
	UnderWay  int       `json:"underWay"`       // that have it still: their outcome is not known yet
	Until     time.Time `json:"until,omitzero"` // when it is, at the latest
	Reports   int       `json:"reports"`        // reports that waited, and were dropped
	Lifted    int       `json:"lifted"`         // entries of block lists that leave after a day
	Kept      int       `json:"kept"`           // and those that stay
}

// forget erases a person's data. Neither log nor audit has the recipient.
func (d *Daemon) forget(w http.ResponseWriter, r *http.Request) {
	var c ForgetRequest
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<10))
	in.DisallowUnknownFields()
	if err := in.Decode(&c); err != nil {
		http.Error(w, "the body must be JSON {recipient, blocks, reason, by}", http.StatusBadRequest)
		return
	}
	channel, to, err := d.recipient(c.Recipient)
	switch {
	case err != nil:
	case strings.TrimSpace(c.Reason) == "" || len(c.Reason) > maxBlockWords:
		err = errRequest("give a reason of at most 200 octets: the audit has it")
	case strings.Contains(strings.ToLower(c.Reason), strings.ToLower(strings.TrimPrefix(string(to), "+"))):
		err = errRequest("the reason has the recipient in it, and the audit must not")
	}
	if err != nil {
		refuseBlocks(w, err)
		return
	}
	done, err := d.service.Forget(r.Context(), orders.ForgetQuery{Channel: channel, Recipient: to, Blocks: c.Blocks, By: c.By})
	outcome := "ok"
	switch {
	case err != nil:
		outcome = "failed"
	case done.UnderWay > 0:
		outcome = "messages are under way"
	}
	d.operated(r, audit.Event{Action: audit.Forget, Object: channel.String(), Outcome: outcome, Reason: c.Reason, Count: done.Shipments}, c.By)
	if err != nil {
		refuseBlocks(w, err)
		return
	}
	writeJSON(w, ForgetAnswer{done.Shipments, done.UnderWay, done.Until, done.Reports, done.Lifted, done.Kept})
}
