package api

import (
	"net/http"
	"strings"
	"testing"
)

func TestTraceOf(t *testing.T) {
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for value, want := range map[string]string{
		"00-" + trace + "-" + parent + "-01":                   trace,
		"00-" + trace + "-" + parent + "-00":                   trace,
		"cc-" + trace + "-" + parent + "-01-what-is-to-come":   trace,
		"cc-" + trace + "-" + parent + "-01.x":                 "",
		"00-" + trace + "-" + parent + "-01-x":                 "",
		"ff-" + trace + "-" + parent + "-01":                   "",
		"00-" + strings.ToUpper(trace) + "-" + parent + "-01":  "",
		"00-" + strings.Repeat("0", 32) + "-" + parent + "-01": "",
		"00-" + trace + "-" + strings.Repeat("0", 16) + "-01":  "",
		"00-" + trace + "-" + parent:                           "",
		"00-" + trace[:31] + "g-" + parent + "-01":             "",
		"":                      "",
		strings.Repeat("-", 55): "",
	} {
		if got := traceOf(http.Header{"Traceparent": {value}}); got != want {
			t.Errorf("traceOf(%q) = %q, want %q", value, got, want)
		}
	}
	good := "00-" + trace + "-" + parent + "-01"
	if got := traceOf(http.Header{"Traceparent": {good, good}}); got != "" {
		t.Errorf("of two: %q", got)
	}
	if a, b := newTrace(), newTrace(); a == b || len(a) != 32 || !lowerHex(a) {
		t.Errorf("own ids %q and %q", a, b)
	}
}

// TestProblemsBearTheTrace: the traceId of an error is that of the request, or our own, and stands in the
// log line.
func TestProblemsBearTheTrace(t *testing.T) {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	w := start(t)
	given := header("Traceparent", "00-"+trace+"-00f067aa0ba902b7-01")

	p := w.do("POST", "/future/orders/instant/sms", `{}`, given).problem(t)
	if p.TraceID != trace || p.Type != "about:blank" {
		t.Errorf("traceId %q, type %q", p.TraceID, p.Type)
	}
	if n := strings.Count(w.log.String(), `"trace":"`+trace+`"`); n != 1 {
		t.Errorf("the trace stands in %d log lines:\n%s", n, w.log.String())
	}

	p = w.do("GET", "/future/shipment/0d4f1b3a-8f5c-7c1e-9a54-5a8f3c3ad9f1", "").problem(t)
	if p.Code != "NOT-00003" || p.Type != "urn:altinn:error:NOT-00003" || len(p.TraceID) != 32 {
		t.Errorf("code %q, type %q, traceId %q", p.Code, p.Type, p.TraceID)
	}

	p = w.do("POST", "/future/orders/instant/sms", `{}`).problem(t)
	if len(p.TraceID) != 32 || !strings.Contains(w.log.String(), p.TraceID) {
		t.Errorf("traceId %q is not in the log", p.TraceID)
	}

	w.do("POST", "/future/orders/instant/sms", smsBody, given)
	if n := strings.Count(w.log.String(), `"trace":"`+trace+`"`); n != 2 {
		t.Errorf("the order's line lacks the trace:\n%s", w.log.String())
	}
}
