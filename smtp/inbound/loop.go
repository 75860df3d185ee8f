package inbound

import (
	"bytes"
	"strings"
)

// LoopField is the name of the header field that each forwarded mail has, with the domain as its value.
const LoopField = "X-Straks-Forwarded-For"

// maxHops is the number of Received fields of a mail in a loop (RFC 5321 §6.3).
const maxHops = 50

// looping reports whether a mail was forwarded by us before, or has come a suspiciously long way.
func looping(mail []byte, domain string) bool {
	hops := 0
	for line := range bytes.Lines(mail) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return false // the header ends
		}
		name, value, _ := strings.Cut(string(line[:min(len(line), 400)]), ":")
		switch {
		case strings.EqualFold(name, LoopField) && strings.EqualFold(strings.TrimSpace(value), domain):
			return true
		case strings.EqualFold(name, "Received"):
			if hops++; hops > maxHops {
				return true
			}
		}
	}
	return false
}
