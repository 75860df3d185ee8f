package journaltest

import (
	"testing"

	"github.com/google/uuid"

	"straks/orders"
)

// TestModelMatch: the report that a match was found for has made room for another one, with the same references and another
// recipient. The match is about neither: the rules must not look for shipments to a number that no event names.
func TestModelMatch(t *testing.T) {
	m := newModel()
	m.apply(orders.Report{Carrier: "telco", Refs: []string{"m1"}, Recipient: "4790000000", Status: orders.SMSDelivered})
	if e := m.apply(orders.Match{Shipment: uuid.New(), Carrier: "telco", Refs: []string{"m1"}, Recipient: "4799999999"}); e.Found {
		t.Errorf("%+v", e)
	}
}
