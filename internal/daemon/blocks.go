package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"straks/internal/audit"
	"straks/orders"
)

// BlockEntry is an entry of a block list as operators see it.
type BlockEntry struct {
	Organisation string    `json:"organisation"`
	Channel      string    `json:"channel"`   // "SMS" or "Email"
	Recipient    string    `json:"recipient"` // empty in an entry that an older program stored
	Blocked      bool      `json:"blocked"`   // false: it is lifted, and kept for a day, or has ended
	At           time.Time `json:"at"`
	Source       string    `json:"source,omitempty"` // "phone", "operator", "bounce" or "complaint"
	Word         string    `json:"word,omitempty"`   // that the phone sent; the code of the bounce
	Reason       string    `json:"reason,omitempty"` // the operator's; the shipment of the bounce or complaint
	By           string    `json:"by,omitempty"`     // the operator

	Until time.Time `json:"until,omitzero"`  // when it ends by itself; absent: it does not
	Times int       `json:"times,omitempty"` // how often the address was suppressed, this time included
}

// BlockPage is the answer of GET /blocks.
type BlockPage struct {
	Blocks []BlockEntry `json:"blocks"`
	Next   string       `json:"next,omitempty"` // to be sent as after; empty: there are no more
}

// BlockChange is the body of POST /blocks.
type BlockChange struct {
	Organisation string `json:"organisation"`
	Recipient    string `json:"recipient"` // phone number or e-mail address
	Lift         bool   `json:"lift"`
	Reason       string `json:"reason"` // required, at most 200 octets
	By           string `json:"by"`     // the operator's name
}

const (
	blocksPage    = 1000 // entries that one request looks at
	maxBlockWords = 200  // octets of a reason, and of a name
)

// serveBlocks lists block lists: all, those of organisation=NAME, or the entries of recipient=… in each.
func (d *Daemon) serveBlocks(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if name := q.Get("organisation"); name != "" && !d.config().Has(name) {
		http.Error(w, fmt.Sprintf("no organisation has that name; there are %q", d.config().Names()), http.StatusBadRequest)
		return
	}
	page, err := d.blocksOf(r.Context(), blockQuery{q.Get("organisation"), q.Get("recipient"), q.Get("after"), blocksPage})
	if err != nil {
		refuseBlocks(w, err)
		return
	}
	d.operated(r, audit.Event{Action: audit.ReadBlocks, Organisation: q.Get("organisation"), Count: len(page.Blocks), Outcome: "ok"}, q.Get("by"))
	writeJSON(w, page)
}

// blockQuery asks for a page of all block lists, or of one organisation's; with a recipient, for its entries.
type blockQuery struct {
	organisation, recipient, after string
	limit                          int // entries that are looked at
}

func (d *Daemon) blocksOf(ctx context.Context, q blockQuery) (page BlockPage, err error) {
	add := func(query orders.BlockQuery) error {
		found, err := d.service.Blocks(ctx, query)
		for _, b := range found.Blocks {
			page.Blocks = append(page.Blocks, entryOf(b))
		}
		page.Next = found.Next
		return err
	}
	page.Blocks = []BlockEntry{}
	if q.recipient == "" {
		return page, add(orders.BlockQuery{Organisation: q.organisation, After: q.after, Limit: q.limit})
	}
	organisations := d.config().Names()
	if q.organisation != "" {
		organisations = []string{q.organisation}
	}
	channel, to, err := d.recipient(q.recipient)
	for _, name := range organisations {
		if err == nil {
			err = add(orders.BlockQuery{Organisation: name, Channel: channel, Recipient: to, Limit: 1})
		}
	}
	return page, err
}

func entryOf(b orders.Block) BlockEntry {
	return BlockEntry{b.Organisation, b.Channel.String(), string(b.Recipient), b.Blocks(time.Now()), b.At, string(b.Source), b.Word, b.Reason, b.By,
		b.Until, b.Times}
}

// changeBlock puts a recipient on an organisation's block list, or takes it off, and answers with the
// entry when that is on disk.
func (d *Daemon) changeBlock(w http.ResponseWriter, r *http.Request) {
	var c BlockChange
	in := json.NewDecoder(r.Body)
	in.DisallowUnknownFields()
	if err := in.Decode(&c); err != nil {
		http.Error(w, "the body must be JSON {organisation, recipient, lift, reason, by}", http.StatusBadRequest)
		return
	}
	b, err := d.block(&c)
	if err == nil {
		err = d.storeBlock(r.Context(), b)
	}
	if err != nil {
		refuseBlocks(w, err)
		return
	}
	action := audit.AddBlock
	if b.Off {
		action = audit.LiftBlock
	}
	d.operated(r, audit.Event{Action: action, Organisation: b.Organisation, Object: b.Channel.String(), Outcome: "ok", Reason: b.Reason}, b.By)
	d.log.Info("block list changed by an operator", "organisation", b.Organisation, "recipient", b.Recipient, "lifted", b.Off)
	writeJSON(w, entryOf(b))
}

// errRequest is what is wrong with a request.
type errRequest string

func (e errRequest) Error() string { return string(e) }

// block returns the change that a request asks for.
func (d *Daemon) block(c *BlockChange) (orders.Block, error) {
	if !d.config().Has(c.Organisation) {
		return orders.Block{}, errRequest(fmt.Sprintf("no organisation has that name; there are %q", d.config().Names()))
	}
	channel, to, err := d.recipient(c.Recipient)
	if err != nil {
		return orders.Block{}, err
	}
	for name, text := range map[string]string{"reason": c.Reason, "by": c.By} {
		if len(text) > maxBlockWords || !utf8.ValidString(text) {
			return orders.Block{}, errRequest(fmt.Sprintf("%s has more than %d octets", name, maxBlockWords))
		}
	}
	if strings.TrimSpace(c.Reason) == "" {
		return orders.Block{}, errRequest("give a reason: it is shown to operators who look at the entry later")
	}
	return orders.Block{Organisation: c.Organisation, Channel: channel, Recipient: to, Off: c.Lift, At: time.Now().UTC(),
		Source: orders.BlockedByOperator, Reason: c.Reason, By: c.By}, nil
}

// storeBlock returns when the change is on disk.
func (d *Daemon) storeBlock(ctx context.Context, b orders.Block) error {
	stored := make(chan error, 1)
	if err := d.service.Block(b, func(err error) { stored <- err }); err != nil {
		return err
	}
	select {
	case err := <-stored:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// recipient returns a recipient as orders have it. A number need not be one that orders may name now.
func (d *Daemon) recipient(s string) (orders.Channel, orders.Recipient, error) {
	s = strings.TrimSpace(s)
	if strings.Contains(s, "@") {
		if len(s) > 254 || !utf8.ValidString(s) || strings.ContainsAny(s, " ,;<>\"\t\r\n") || strings.Count(s, "@") != 1 {
			return 0, "", errRequest("the recipient is no e-mail address")
		}
		return orders.Email, orders.Recipient(s), nil
	}
	number, err := d.config().Numbers.Rules().Parse(s)
	if digits, ok := strings.CutPrefix(s, "+"); err != nil && ok && len(digits) >= 5 && len(digits) <= 15 && strings.Trim(digits, "0123456789") == "" {
		number, err = s, nil
	}
	if err != nil {
		return 0, "", errRequest("the recipient " + err.Error())
	}
	return orders.SMS, orders.Recipient(number), nil
}

func refuseBlocks(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	if wrong := errRequest(""); errors.As(err, &wrong) {
		status = http.StatusBadRequest
	}
	http.Error(w, err.Error(), status)
}
