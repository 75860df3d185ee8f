// Package orderstest has the sample orders and facts of tests around package orders: of its
// service, its engines, the HTTP API and the commands. The sample organisation is "ttd", the
// SMSC "telco", the recipient +4799999999.
package orderstest

import (
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/orders"
)

// SMS returns an order for an SMS, for Service.Place.
func SMS(key string) orders.Order {
	return orders.Order{Organisation: "ttd", Key: key, TTL: time.Minute,
		Message: orders.Message{Channel: orders.SMS, To: "+4799999999", Body: "123456"}}
}

// AcceptRequest returns a new shipment and its claim, for Journal.Accept.
func AcceptRequest(key string) orders.AcceptRequest {
	return orders.AcceptRequest{
		Shipment: uuid.Must(uuid.NewV7()), OrderID: uuid.New(), Claim: uuid.New(), Key: key, At: time.Now().UTC(), ClaimFor: 10 * time.Second,
		Organisation: "ttd", SendersReference: "reference", Channel: orders.SMS, Recipient: "+4799999999", TTL: 5 * time.Minute,
	}
}

// Accepted returns the fact that the SMSC accepted the shipment, in one part.
func Accepted(s orders.Shipment, ref string) orders.Answer {
	return orders.Answer{Shipment: s.ID, Claim: s.Claim, At: time.Now(), Outcome: handover.Accepted, Carrier: "telco", Total: 1,
		Parts: []orders.PartAnswer{{Refs: []string{ref}, Taken: true}}}
}

// Delivered returns the fact that a receipt reported the part delivered.
func Delivered(ref string) orders.Report {
	return orders.Report{Carrier: "telco", Refs: []string{ref}, At: time.Now(), Status: orders.SMSDelivered}
}

// Patient is an orders.Config's ReceiptWait for which no machine is too slow.
func Patient(string) time.Duration { return time.Minute }
