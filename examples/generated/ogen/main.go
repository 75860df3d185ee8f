// A client that ogen generates from straks's OpenAPI document:
//
//	curl -o openapi.yaml $STRAKS_URL/openapi.yaml
//	go tool ogen --target straks --package straks --clean openapi.yaml
//	STRAKS_TOKEN=… go run . +4799999999
//
// It sends a login code, repeats the order, and reads what became of it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/google/uuid"

	"generated/straks"
)

func main() {
	if err := run(context.Background(), os.Getenv("STRAKS_URL"), os.Getenv("STRAKS_TOKEN"), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// bearer is the token of the organisation.
type bearer string

func (b bearer) Token(context.Context, straks.OperationName) (straks.Token, error) {
	return straks.Token{Token: string(b)}, nil
}

func run(ctx context.Context, url, token, phone string) error {
	c, err := straks.NewClient(url, bearer(token))
	if err != nil {
		return err
	}
	order := &straks.SmsOrder{
		IdempotencyId: straks.IdempotencyId(uuid.NewString()),
		RecipientSms: straks.RecipientSms{PhoneNumber: phone, TimeToLiveInSeconds: 300,
			SmsSettings: straks.RecipientSmsSmsSettings{Body: "Your code is 123456"}},
	}
	answer, err := c.SendSms(ctx, order)
	if err != nil {
		return err
	}
	if p, ok := answer.(*straks.SendSmsBadRequest); ok {
		for path := range p.Errors.Value {
			fmt.Println(p.Status, path)
		}
		return nil
	}
	first, ok := answer.(*straks.CreatedHeaders)
	if !ok {
		return fmt.Errorf("send: %+v", answer)
	}
	id := first.Response.Notification.ShipmentId
	fmt.Println("sent", id)

	if answer, err = c.SendSms(ctx, order); err != nil {
		return err
	}
	repeat, ok := answer.(*straks.RepeatedHeaders)
	if !ok {
		return fmt.Errorf("repeat: %+v", answer)
	}
	fmt.Println("repeated", repeat.Response.Notification.ShipmentId)

	seq := int64(0)
	for found := false; !found; {
		feed, err := c.GetFeed(ctx, straks.GetFeedParams{Seq: straks.NewOptInt64(seq), Wait: straks.NewOptInt(30)})
		if err != nil {
			return err
		}
		page, ok := feed.(*straks.GetFeedOKApplicationJSON)
		if !ok {
			return fmt.Errorf("feed: %+v", feed)
		}
		for _, e := range *page {
			seq = e.SequenceNumber
			if found = e.ShipmentId == id; found {
				fmt.Println("feed", e.ShipmentId, e.Recipients[0].Status)
				break
			}
		}
	}

	known, err := c.GetShipment(ctx, straks.GetShipmentParams{ID: id.String()})
	if err != nil {
		return err
	}
	shipment, ok := known.(*straks.Shipment)
	if !ok || shipment.Status != straks.ShipmentStatusOrderCompleted {
		return fmt.Errorf("shipment: %+v", known)
	}
	fmt.Println("shipment", shipment.ShipmentId, shipment.Recipients[0].Status)

	unknown, err := c.GetShipment(ctx, straks.GetShipmentParams{ID: uuid.NewString()})
	if err != nil {
		return err
	}
	p, ok := unknown.(*straks.GetShipmentNotFound)
	if !ok {
		return fmt.Errorf("unknown: %+v", unknown)
	}
	fmt.Println("unknown", p.Code.Value)
	return nil
}
