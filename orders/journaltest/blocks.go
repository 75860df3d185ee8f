package journaltest

import (
	"fmt"
	"time"

	"straks/orders"
)

// blocks reads block lists: the entry of one recipient, and all, page by page.
func blocks(f *fixture) {
	all := map[string]orders.Block{}
	put := func(b orders.Block) {
		f.apply(b)
		b.Recipient = orders.BlockForm(b.Channel, b.Recipient)
		all[b.Organisation+string(b.Recipient)] = b
	}
	for i := range 7 {
		put(orders.Block{Organisation: org, Channel: orders.SMS, Recipient: orders.Recipient(fmt.Sprintf("+479999999%d", i)),
			At: f.now, Source: orders.BlockedByPhone, Word: "STOPP"})
	}
	put(orders.Block{Organisation: org, Channel: orders.Email, Recipient: "Kari@Example.org", At: f.now,
		Source: orders.BlockedByOperator, Reason: "asked for it by phone", By: "ola"})
	put(orders.Block{Organisation: "other", Channel: orders.SMS, Recipient: "+4799999990", At: f.now, Source: orders.BlockedByPhone, Word: "STOP"})
	f.pass(time.Second)
	put(orders.Block{Organisation: org, Channel: orders.SMS, Recipient: "+4799999993", Off: true, At: f.now, Source: orders.BlockedByPhone, Word: "START"})
	f.reopen()

	for _, limit := range []int{1, 3, 100} {
		for _, of := range []string{"", org, "other", "nobody"} {
			f.wantBlocks(all, of, limit)
		}
	}
	for to, want := range map[orders.Recipient]orders.Block{
		"kari@example.ORG": all[org+"kari@example.org"], "ola@example.org": {},
	} {
		page, err := f.j.Blocks(ctx(), orders.BlockQuery{Organisation: org, Channel: orders.Email, Recipient: to, Limit: 1})
		if err != nil || len(page.Blocks) == 1 != (want != orders.Block{}) || len(page.Blocks) == 1 && page.Blocks[0] != want || page.Next != "" {
			f.Fatalf("of %s: %+v, %v", string(to), page, err)
		}
	}
	mail := f.acceptRequest("mail")
	mail.Channel, mail.Recipient = orders.Email, "KARI@example.org"
	if s, _ := f.accept(mail); s.Status != orders.EmailFailedRecipientReserved {
		f.Fatalf("a blocked address in another letter case: %v", s.Status)
	}
	f.pass(25 * time.Hour)
	f.sweep()
	delete(all, org+"+4799999993")
	f.wantBlocks(all, "", 100)
}

// wantBlocks reads the block list of an organisation (all, where that is empty) in pages.
func (f *fixture) wantBlocks(all map[string]orders.Block, of string, limit int) {
	f.Helper()
	want := 0
	for _, b := range all {
		if of == "" || b.Organisation == of {
			want++
		}
	}
	q := orders.BlockQuery{Organisation: of, Limit: limit}
	seen := map[string]bool{}
	for range len(all) + 2 {
		page, err := f.j.Blocks(ctx(), q)
		if err != nil || len(page.Blocks) > limit {
			f.Fatalf("%d entries, %v", len(page.Blocks), err)
		}
		for _, b := range page.Blocks {
			if id := b.Organisation + string(b.Recipient); all[id] != b || seen[id] {
				f.Fatalf("got %+v, want %+v, once", b, all[id])
			}
			seen[b.Organisation+string(b.Recipient)] = true
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	if len(seen) != want || q.After != "" {
		f.Fatalf("of %q, in pages of %d: %d entries, want %d", of, limit, len(seen), want)
	}
}
