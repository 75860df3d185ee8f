package dsn

import (
	"bytes"
	"mime"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Envelope is what the caller knows of the mail beside its octets.
type Envelope struct {
	// Shipment is that of the token in the address that the mail came to, verified; uuid.Nil where it
	// came to another address.
	Shipment uuid.UUID
	// Token returns the shipment of an address that is a return path of ours, verified; uuid.Nil for any other. A
	// complaint names the return path of its mail (RFC 5965 §3.2), and comes to another address. May be nil.
	Token func(address string) uuid.UUID
}

// Parse reads one mail. It never fails: a mail that it does not understand is Nothing.
func Parse(mail []byte, envelope Envelope) Result {
	t := readTree(mail)
	var k keys
	k.add(ReturnPath, envelope.Shipment)
	r := t.verdict(&k, envelope.Token)
	for _, p := range t.parts {
		k.addMessageID(p.headerOfOriginal().get("message-id"))
	}
	r.Keys = k
	return r
}

// verdict returns what the mail is, by the first form that it has. A delivery report decides before
// Auto-Submitted, which reports have too.
func (t *tree) verdict(k *keys, token func(string) uuid.UUID) Result {
	if report, ok := t.findReport(); ok {
		for _, group := range report.groups {
			k.addEnvelopeID(group.get("original-envelope-id"))
		}
		return report.result()
	}
	if r, original, ok := t.findQSBMF(); ok {
		k.addMessageID(original.get("message-id"))
		return r
	}
	if complaint, ok := t.findComplaint(); ok {
		if token != nil {
			k.add(ReturnPath, token(address(complaint.get("original-mail-from"))))
			for _, p := range t.parts {
				k.add(ReturnPath, token(address(p.headerOfOriginal().get("return-path"))))
			}
		}
		k.addEnvelopeID(complaint.get("original-envelope-id"))
		return Result{Verdict: Complaint}
	}
	if t.isAutoReply() {
		return Result{Verdict: AutoReply}
	}
	return Result{}
}

// headerOfOriginal returns the header of the mail that the part returns; none for other parts.
func (p part) headerOfOriginal() fields {
	switch p.kind {
	case "message/rfc822", "message/global":
		return p.fields
	case "text/rfc822-headers", "message/rfc822-headers", "message/global-headers":
		header, _ := cutHeader(bytes.TrimLeft(p.decoded(maxHeader), "\r\n"))
		return readFields(header)
	}
	return nil
}

// address returns a path without its angle brackets (RFC 5321 §4.1.2).
func address(path string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(withoutComments(path)), "<"), ">")
}

// maxKeys bounds Result.Keys.
const maxKeys = 8

// keys collects the shipments that a mail names.
type keys []Key

// add keeps each shipment once. The callers add the most reliable source first.
func (k *keys) add(source Source, shipment uuid.UUID) {
	known := slices.ContainsFunc(*k, func(key Key) bool { return key.Shipment == shipment })
	if shipment != uuid.Nil && !known && len(*k) < maxKeys {
		*k = append(*k, Key{source, shipment})
	}
}

// addEnvelopeID takes our ENVID, a shipment id. Haraka writes the Message-ID in its place.
func (k *keys) addEnvelopeID(value string) {
	value = withoutComments(value)
	if strings.HasPrefix(value, "<") {
		k.add(EnvelopeID, fromMessageID(value))
		return
	}
	k.add(EnvelopeID, fromCanonical(value))
}

func (k *keys) addMessageID(value string) {
	k.add(MessageID, fromMessageID(withoutComments(value)))
}

// fromMessageID reads a Message-ID of ours, <shipment@domain>. It returns uuid.Nil for any other.
func fromMessageID(value string) uuid.UUID {
	left, _, ok := strings.Cut(strings.TrimPrefix(value, "<"), "@")
	if !ok || !strings.HasPrefix(value, "<") {
		return uuid.Nil
	}
	return fromCanonical(left)
}

// fromCanonical reads a UUID of 36 characters. uuid.Parse reads other forms too, which we never write.
func fromCanonical(value string) uuid.UUID {
	id, err := uuid.Parse(value)
	if err != nil || len(value) != 36 {
		return uuid.Nil
	}
	return id
}

// decodedSubject decodes encoded words (RFC 2047) where it can.
func decodedSubject(value string) string {
	decoded, err := new(mime.WordDecoder).DecodeHeader(value)
	if err != nil {
		return value
	}
	return decoded
}
