package mail

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"straks/orders"
	"straks/smtp"
)

// channel returns a channel whose relay is not there.
func channel(t *testing.T, routes ...smtp.Route) *Channel {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	pool, err := smtp.New(smtp.Config{Relays: []smtp.Relay{{Name: "mx", Addr: "127.0.0.1:1", MaxConns: 5}}, Routes: routes}, log, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{Organisations: map[string]Organisation{
		"free":  {Sender: "no-reply@any.example"},
		"bound": {Sender: "no-reply@operator.example", SenderDomains: []string{"Example.org", "blåbær.example"}},
	}, Paths: ReturnPaths{}}, pool, log, nil)
}

func order(organisation, from, to string) orders.Message {
	return orders.Message{Shipment: uuid.New(), Organisation: organisation, Channel: orders.Email, To: orders.Recipient(to), From: from, Subject: "Kode", Body: "1234"}
}

// A request may name senders of its organisation's domains, and the fault lists them.
func TestSenderDomains(t *testing.T) {
	c := channel(t)
	for _, test := range []struct {
		organisation, from string
		ok                 bool
	}{
		{"free", "", true},
		{"free", "a@anything.example", true},
		{"bound", "", true}, // the operator's choice
		{"bound", "No-Reply@operator.example", true},
		{"bound", "other@operator.example", false},
		{"bound", "a@example.org", true},
		{"bound", "a@mail.EXAMPLE.org", true},
		{"bound", "a@xn--blbr-roah.example", true},
		{"bound", "a@notexample.org", false},
		{"bound", "a@example.org.evil.example", false},
	} {
		faults := c.Check(order(test.organisation, test.from, "kari@mottaker.example"))
		if (len(faults) == 0) != test.ok {
			t.Errorf("%+v: %v", test, faults)
		}
		for _, f := range faults {
			if f.Field != orders.FieldSender || !strings.Contains(f.Message, "Example.org, blåbær.example") || strings.Contains(f.Message, "a@") {
				t.Errorf("%+v: %+v", test, f)
			}
		}
	}
	if faults := c.Check(order("bound", "no address", "kari@mottaker.example")); len(faults) != 1 || strings.Contains(faults[0].Message, "allowed:") {
		t.Errorf("an address that is none: %v", faults)
	}
}

// Each route is a lane of its own, and a mail without one is refused as one that no relay can take.
func TestLanes(t *testing.T) {
	c := channel(t, smtp.Route{Name: "no", RecipientDomains: []string{"no"}, Relays: []string{"mx"}}, smtp.Route{Name: "free", RecipientDomains: []string{"example"}, Organisations: []string{"free"}, Relays: []string{"mx"}})
	for _, test := range []struct {
		message orders.Message
		lane    orders.Lane
		faults  int
	}{
		{order("bound", "", "kari@mottaker.no"), orders.Lane{Name: "no", Window: 5}, 0},
		{order("free", "", "kari@mottaker.example"), orders.Lane{Name: "free", Window: 5}, 0},
		{order("bound", "", "kari@mottaker.example"), orders.Lane{Window: 1}, 1},
	} {
		faults := c.Check(test.message)
		if lane := c.Lane(test.message); lane != test.lane || len(faults) != test.faults {
			t.Errorf("lane %+v, faults %v, want %+v", lane, faults, test.lane)
		}
		for _, f := range faults {
			if f.Field != orders.FieldRecipient {
				t.Errorf("%+v", f)
			}
		}
	}
	if lane := channel(t).Lane(order("free", "", "kari@mottaker.example")); lane != (orders.Lane{Name: "default", Window: 5}) {
		t.Errorf("without routes: %+v", lane)
	}
}
