package gsm

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// MaxParts is how many parts a message may have.
const MaxParts = 16

// messageOctets is the user data of one short message, header included (3GPP TS 23.040 §9.2.3.24).
const messageOctets = 140

// ErrTooLong is what a *TooLongError is.
var ErrTooLong = errors.New("message too long")

// TooLongError tells how many parts a text would need.
type TooLongError struct {
	Needed int
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("message too long: it needs %d parts, at most %d are allowed", e.Needed, MaxParts)
}

// Is makes errors.Is(err, ErrTooLong) true.
func (e *TooLongError) Is(target error) bool { return target == ErrTooLong }

// Split cuts a text into the parts that it needs: one if it fits a short
// message by itself, else parts that leave room for a user data header of that
// many octets (UDH8Len, UDH16Len; for SAR TLVs UDH8Len too). An empty text is
// one empty part. The joined parts are Normalize(text).
//
// Errors: *TooLongError, and those of Encode.
func Split(e Encoding, text string, header int) ([]string, error) {
	ends, text, err := cuts(e, text, header)
	if err != nil {
		return nil, err
	}
	parts, start := make([]string, len(ends)), 0
	for i, end := range ends {
		parts[i], start = text[start:end], end
	}
	return parts, nil
}

// capacity is how many units of the encoding fit a short message beside a header.
func (e Encoding) capacity(header int) int {
	octets := messageOctets - header
	switch e {
	case UCS2:
		return octets / 2
	case Latin1:
		return octets
	}
	return octets * 8 / 7
}

// cuts returns where the parts of the normalised text end.
func cuts(e Encoding, text string, header int) (ends []int, normal string, err error) {
	if !utf8.ValidString(text) {
		return nil, "", ErrInvalidText
	}
	text = Normalize(text)
	total := 0
	for i, r := range text {
		size := e.size(r)
		if size == 0 {
			return nil, "", lacks(e, i)
		}
		total += size
	}
	if total <= e.capacity(0) {
		return []int{len(text)}, text, nil
	}
	ends = cutAt(e, text, e.capacity(header))
	if len(ends) > MaxParts {
		return nil, "", &TooLongError{Needed: len(ends)}
	}
	return ends, text, nil
}

// cutAt fills parts of so many units with clusters, each as full as it gets.
func cutAt(e Encoding, text string, capacity int) (ends []int) {
	used := 0
	for at := 0; at < len(text); {
		length, units := cluster(e, text[at:])
		if used+units > capacity {
			ends, used = append(ends, at), 0
		}
		used += units
		at += length
	}
	return append(ends, len(text))
}
