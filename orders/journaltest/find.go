package journaltest

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/orders"
)

// find looks shipments up as operators do.
func find(f *fixture) {
	var all []orders.Shipment
	for i := range 6 {
		in := f.acceptRequest(fmt.Sprint("k", i))
		in.Recipient = orders.Recipient(fmt.Sprintf("+479999999%d", i%2))
		if i == 5 {
			in.Channel, in.Recipient, in.Organisation = orders.Email, "Kari@example.org", "other"
		}
		s, _ := f.accept(in)
		a := f.answer(s, handover.Accepted, fmt.Sprint(orders.IDPrefix+"msg-", i))
		a.Carrier = "telco"
		all = append(all, f.apply(a).Shipment)
		f.pass(time.Hour)
	}
	f.reopen()
	for name, c := range map[string]struct {
		query orders.FindQuery
		want  []int
	}{
		"a number":                {orders.FindQuery{Recipient: "+4799999990", Limit: 10}, []int{4, 2, 0}},
		"a number, since":         {orders.FindQuery{Recipient: "+4799999990", Since: all[2].Accepted, Limit: 10}, []int{4, 2}},
		"a number, a few":         {orders.FindQuery{Recipient: "+4799999990", Limit: 2}, []int{4, 2}},
		"a part of a number":      {orders.FindQuery{Recipient: "+479999999", Limit: 10}, nil},
		"an address":              {orders.FindQuery{Recipient: "kari@EXAMPLE.org", Limit: 10}, []int{5}},
		"a shipment":              {orders.FindQuery{Shipment: all[3].ID, Limit: 10}, []int{3}},
		"a shipment that is not":  {orders.FindQuery{Shipment: uuid.New(), Limit: 10}, nil},
		"a shipment before since": {orders.FindQuery{Shipment: all[3].ID, Since: all[4].Accepted, Limit: 10}, nil},
		"a sender's reference":    {orders.FindQuery{Word: "REF-k1", Limit: 10}, []int{1}},
		"a carrier's id":          {orders.FindQuery{Word: "msg-4", Limit: 10}, []int{4}},
		"a word of nothing":       {orders.FindQuery{Word: "msg", Limit: 10}, nil},
		"nothing":                 {orders.FindQuery{Limit: 10}, nil},
	} {
		found, err := f.j.Find(ctx(), c.query)
		if err != nil {
			f.Fatalf("%s: %v", name, err)
		}
		var got []int
		for _, s := range found {
			got = append(got, slices.IndexFunc(all, func(a orders.Shipment) bool { return a.ID == s.ID && a.Status == s.Status }))
		}
		if !slices.Equal(got, c.want) {
			f.Fatalf("%s: found %v, want %v", name, got, c.want)
		}
	}
}
