package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"straks/internal/faults"
	"straks/orders"
)

// TestReceiptWait: each SMSC has its own, and reports about mails have the default.
func TestReceiptWait(t *testing.T) {
	credentials(t, map[string]string{"telco.password": "hemlig"})
	for given, want := range map[string]time.Duration{"10s": 10 * time.Second, "0s": orders.DefaultReceiptWait, "99ms": 0, "2m": 0} {
		text := strings.Replace(smallest, "[[smsc]]\n", "[[smsc]]\nreceipt_wait = \""+given+"\"\n", 1)
		cfg, _, found, err := parse(text, now, false)
		if err != nil {
			t.Fatal(err)
		}
		refused := slices.ContainsFunc(found, func(f faults.Fault) bool { return f.Key == "smsc[0].receipt_wait" })
		if want == 0 {
			if !refused {
				t.Errorf("%s: %v", given, found)
			}
			continue
		}
		if len(found) > 0 || cfg.ReceiptWait("telco") != want || cfg.ReceiptWait(orders.MailReports) != orders.DefaultReceiptWait {
			t.Errorf("%s: %v, %v", given, cfg.ReceiptWait("telco"), found)
		}
	}
}
