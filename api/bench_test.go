package api

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"straks/internal/handover"
	"straks/orders"
)

// BenchmarkPlace measures what the package adds to an order: everything but
// the socket, the journal and the carrier.
func BenchmarkPlace(b *testing.B) {
	w := start(b)
	w.sms.Does(orders.Handover{Outcome: handover.Refused, Status: orders.SMSFailedRejected, Total: 1})
	parts := strings.Split(smsBody, `"k"`)
	path := DefaultBasePath + "/future/orders/instant/sms"
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(parts[0]+`"`+strconv.Itoa(n)+`"`+parts[1]))
		r.Header.Set("Authorization", "Bearer "+ttdToken)
		r.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		w.server.Config.Handler.ServeHTTP(rec, r)
		if rec.Code != http.StatusCreated {
			b.Fatal(rec.Code, rec.Body)
		}
	}
}
