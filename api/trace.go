package api

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
)

// traceOf returns the trace-id of the request's traceparent, empty where it has none that is valid
// (W3C Trace Context §3.2.2): 32 lower-case hexadecimal digits, not all zero.
func traceOf(h http.Header) string {
	given := h["Traceparent"]
	if len(given) != 1 { // §3.2.1: several are none
		return ""
	}
	// version "-" trace-id "-" parent-id "-" flags; a later version may continue after another hyphen.
	s := given[0]
	if len(s) < 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' || len(s) > 55 && (s[:2] == "00" || s[55] != '-') {
		return ""
	}
	version, trace, parent, flags := s[:2], s[3:35], s[36:52], s[53:55]
	if !lowerHex(version+trace+parent+flags) || version == "ff" || strings.Trim(trace, "0") == "" || strings.Trim(parent, "0") == "" {
		return ""
	}
	return trace
}

func lowerHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// newTrace returns a trace-id of our own.
func newTrace() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}
