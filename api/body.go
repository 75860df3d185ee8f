package api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"straks/orders"
)

// Bodies of orders that are being read and decoded, and the texts of orders that wait, take bodyOctets at most, over all
// requests. That is room for the largest body from each of 64 clients at a time, or for 16 KiB from each of 4096.
// An order needs less than 1 KiB for most SMS. A request beyond its organisation's share is refused: it
// would hold its connection and what it has sent while it waits.
const bodyOctets = 64 << 20

// firstRead is the most that is allocated for a body before any of it arrives, whatever Content-Length says. Each further
// buffer is at most grows times as large as what has arrived.
const (
	firstRead = 4 << 10
	grows     = 4
)

// octetsOf returns the bound on the octets of all bodies, where one may have so many.
func octetsOf(maxBody int64) int { return max(bodyOctets, 8*int(maxBody)) }

// readBody returns the body of an order, at most so many octets of it. The exchange holds its octets until release.
func (a *api) readBody(x *exchange, most int64) ([]byte, error) {
	if err := checkContentType(x.r.Header); err != nil {
		return nil, err
	}
	if x.r.ContentLength > most {
		return nil, tooLarge(most)
	}
	longest, size := int(x.r.ContentLength), firstRead
	if longest < 0 { // in chunks
		longest, size = int(most), 512
	}
	reader := http.MaxBytesReader(x.ResponseWriter, x.r.Body, most)
	var body []byte
	for ; ; size = grows * len(body) {
		size = min(size, longest)
		// One more octet lets Read return the end of the body.
		if err := a.hold(x, size+1); err != nil {
			return nil, err
		}
		body = append(make([]byte, 0, size+1), body...)
		for len(body) < cap(body) {
			n, err := reader.Read(body[len(body):cap(body)])
			body = body[:len(body)+n]
			if err == io.EOF {
				return body, nil
			}
			if err != nil {
				return nil, readError(x.r, err)
			}
		}
	}
}

// hold makes the exchange hold so many octets, or refuses the request.
func (a *api) hold(x *exchange, octets int) error {
	if !a.octets.take(x.who.Organisation, octets-x.octets) {
		return a.full("octets", x.who.Organisation)
	}
	x.octets = octets
	return nil
}

// keepOnly gives back what the exchange holds beyond the order that was read from its body.
func (a *api) keepOnly(x *exchange, p *placing) {
	o, m := &p.order, &p.order.Message
	kept := len(o.Key) + len(o.SendersReference) + len(m.To) + len(m.From) + len(m.Subject) + len(m.Body)
	if kept < x.octets {
		a.octets.give(x.who.Organisation, x.octets-kept)
		x.octets = kept
	}
}

// release gives back all that the exchange holds.
func (a *api) release(x *exchange) {
	a.octets.give(x.who.Organisation, x.octets)
	x.octets = 0
}

func tooLarge(most int64) error {
	p := newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("The body is larger than %d octets. This call sent nothing: send a smaller one.", most))
	p.outcome = "invalid"
	return p
}

// readError answers a body that could not be read to its end.
func readError(r *http.Request, err error) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return newProblem(http.StatusRequestTimeout, "The body did not arrive in time. This call sent nothing: repeat it with the same idempotencyId.")
	case r.Context().Err() != nil, errors.Is(err, io.ErrUnexpectedEOF):
		return orders.ErrAbandoned
	}
	return newProblem(http.StatusBadRequest, "The body could not be read: its length, or its division into chunks, is wrong. This call sent nothing.")
}

// checkContentType accepts JSON in UTF-8, under the media types that clients of Altinn
// Notifications use, and no compressed body.
func checkContentType(h http.Header) error {
	given := h.Get("Content-Type")
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return newProblem(http.StatusUnsupportedMediaType, "Send the body without a Content-Encoding.")
	}
	if given == "application/json" { // nearly always
		return nil
	}
	name, parameters, err := mime.ParseMediaType(given)
	isJSON := name == "application/json" || name == "text/json" ||
		strings.HasPrefix(name, "application/") && strings.HasSuffix(name, "+json")
	charset := parameters["charset"]
	if err != nil || !isJSON || charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		return newProblem(http.StatusUnsupportedMediaType, "Send JSON in UTF-8: Content-Type: application/json.")
	}
	return nil
}
