// A client that oapi-codegen generates from straks's OpenAPI document:
//
//	curl -o openapi.yaml $STRAKS_URL/openapi.yaml
//	go tool oapi-codegen -config config.yaml openapi.yaml
//	STRAKS_TOKEN=… go run . +4799999999
//
// It sends a login code, repeats the order, and reads what became of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/google/uuid"
)

func main() {
	if err := run(context.Background(), os.Getenv("STRAKS_URL"), os.Getenv("STRAKS_TOKEN"), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url, token, phone string) error {
	c, err := NewClientWithResponses(url, WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}))
	if err != nil {
		return err
	}
	var order SendSmsJSONRequestBody
	order.IdempotencyId = uuid.NewString()
	order.RecipientSms.PhoneNumber = phone
	order.RecipientSms.TimeToLiveInSeconds = 300
	order.RecipientSms.SmsSettings.Body = "Your code is 123456"

	first, err := c.SendSmsWithResponse(ctx, order)
	if err != nil {
		return err
	}
	if p := first.ApplicationproblemJSON400; p != nil {
		for path := range *p.Errors {
			fmt.Println(p.Status, path)
		}
		return nil
	}
	if first.JSON201 == nil {
		return errors.New(first.Status())
	}
	fmt.Println("sent", first.JSON201.Notification.ShipmentId)

	repeat, err := c.SendSmsWithResponse(ctx, order)
	if err != nil {
		return err
	}
	if repeat.JSON200 == nil {
		return errors.New(repeat.Status())
	}
	fmt.Println("repeated", repeat.JSON200.Notification.ShipmentId)

	id, seq, wait := first.JSON201.Notification.ShipmentId, int64(0), 30
	for found := false; !found; {
		page, err := c.GetFeedWithResponse(ctx, &GetFeedParams{Seq: &seq, Wait: &wait})
		if err != nil {
			return err
		}
		if page.JSON200 == nil {
			return errors.New(page.Status())
		}
		for _, e := range *page.JSON200 {
			seq = e.SequenceNumber
			if found = e.ShipmentId == id; found {
				fmt.Println("feed", e.ShipmentId, e.Recipients[0].Status)
				break
			}
		}
	}

	shipment, err := c.GetShipmentWithResponse(ctx, id.String(), nil)
	if err != nil {
		return err
	}
	if shipment.JSON200 == nil || shipment.JSON200.Status != ShipmentStatusOrderCompleted {
		return errors.New(shipment.Status())
	}
	fmt.Println("shipment", shipment.JSON200.ShipmentId, shipment.JSON200.Recipients[0].Status)

	unknown, err := c.GetShipmentWithResponse(ctx, uuid.NewString(), nil)
	if err != nil {
		return err
	}
	p := unknown.ApplicationproblemJSON404
	if p == nil || p.Code == nil {
		return errors.New(unknown.Status())
	}
	fmt.Println("unknown", *p.Code)
	return nil
}
