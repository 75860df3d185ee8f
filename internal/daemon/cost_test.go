package daemon_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"straks/internal/cost"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

const (
	home    = "[[price]]\nprefix = \"+47\"\nprice = \"0.45\"\nclass = \"home\"\n"
	anyPlus = "[[price]]\nprice = \"2.00\"\n"
)

// priced is what the headers say of an order.
type priced struct {
	status       int
	parts, class string
}

// order places an SMS.
func order(w *daemontest.World, key, number, text string) priced {
	w.T.Helper()
	body, err := json.Marshal(map[string]any{"idempotencyId": key, "recipientSms": map[string]any{
		"phoneNumber": number, "timeToLiveInSeconds": 300, "smsSettings": map[string]any{"body": text}}})
	if err != nil {
		w.T.Fatal(err)
	}
	r, err := http.NewRequestWithContext(w.T.Context(), http.MethodPost, "http://"+w.Daemon.APIAddr()+"/notifications/api/v1/future/orders/instant/sms", strings.NewReader(string(body)))
	if err != nil {
		w.T.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.Token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.T.Fatal(err)
	}
	resp.Body.Close()
	return priced{resp.StatusCode, resp.Header.Get("Straks-Parts"), resp.Header.Get("Straks-Price-Class")}
}

// wantSpent waits until the status says so.
func wantSpent(w *daemontest.World, amount string) {
	w.T.Helper()
	eventually.True(w.T, amount+" to be spent", func() bool {
		s := w.Daemon.Status().Cost
		return s != nil && len(s.Organisations) > 0 && s.Organisations[0].Spent.String() == amount
	})
}

// TestBudget: each part costs what the table says, a budget that is used up answers 429 and says so, a restart with other
// prices counts what was sent by those of then, and a reload prices what is sent afterwards.
func TestBudget(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.EditConfig("[[organisation]]\n", home+anyPlus+"[[organisation]]\nbudget_per_month = \"4.00\"\n")
	w.Start()
	long := strings.Repeat("Blåbærsyltetøy ", 25) // 375 characters of GSM 03.38
	for _, c := range []struct {
		key, number, text string
		want              priced
		spent             string
	}{
		{"short", "+4799999999", "1234", priced{201, "1", "home"}, "0.45"},
		{"long", "+4799999999", long, priced{201, "3", "home"}, "1.80"},
		{"long", "+4799999999", long, priced{200, "3", "home"}, "1.80"},
		{"abroad", "+46701740605", "1234", priced{201, "1", "default"}, "3.80"},
		{"more", "+4799999999", "1234", priced{429, "", ""}, "3.80"},
		{"short", "+4799999999", "1234", priced{200, "1", "home"}, "3.80"},
	} {
		if got := order(w, c.key, c.number, c.text); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.key, got, c.want)
		}
		wantSpent(w, c.spent)
	}
	p := w.Refused("more", "+4799999999")
	if p.Code != "NOT-00005" || p.RetryAfter <= 0 || !strings.Contains(p.Detail, "The limit of 4.00 NOK in a month (of UTC) for your organisation, its budget, is reached (organisation.budget_per_month).") {
		t.Errorf("%+v", p)
	}
	w.Stop()
	w.EditConfig(`"0.45"`, `"0.10"`)
	w.Start()
	wantSpent(w, "3.80")
	if got := order(w, "long", "+4799999999", long); got != (priced{200, "3", "home"}) {
		t.Errorf("a repeat after a restart: %+v", got)
	}
	if got := order(w, "more", "+4799999999", "1234"); got != (priced{201, "1", "home"}) {
		t.Errorf("for less: %+v", got)
	}
	wantSpent(w, "3.90")
	s := w.Daemon.Status().Cost
	if want := (cost.Amount)(4 * cost.Unit); s.Currency != "NOK" || s.Organisations[0].Budget != want || s.Organisations[0].Organisation != "ttd" {
		t.Errorf("%+v", s)
	}
	w.Stop()
}

// TestReloadPrices: prices and budgets may come and change by a reload. What was sent before counts as it did.
func TestReloadPrices(t *testing.T) {
	w := newReloading(t, "")
	if got := order(w.World, "free", "+4799999999", "1234"); got != (priced{201, "1", ""}) || w.Daemon.Status().Cost != nil {
		t.Errorf("%+v, %+v", got, w.Daemon.Status().Cost)
	}
	w.write(home)
	w.reload()
	for i := range 3 { // a number without a price
		if got := order(w.World, fmt.Sprint("c", i), "+46701740605", "1234"); got != (priced{201, "1", ""}) {
			t.Errorf("%+v", got)
		}
	}
	order(w.World, "a", "+4799999999", "1234")
	wantSpent(w.World, "0.45")
	more := strings.NewReplacer(`"0.45"`, `"0.50"`, `"home"`, `"new"`).Replace(home) + anyPlus
	w.write(more, "[[organisation]]\n", "[[organisation]]\nbudget_per_month = \"1.00\"\n")
	w.reload()
	if got := order(w.World, "b", "+4799999999", "1234"); got != (priced{201, "1", "new"}) {
		t.Errorf("%+v", got)
	}
	wantSpent(w.World, "0.95")
	if got := order(w.World, "d", "+4799999999", "1234"); got.status != 429 {
		t.Errorf("beyond the budget: %+v", got)
	}
	w.write(more, "[[organisation]]\n", "[[organisation]]\nbudget_per_month = \"2.00\"\n")
	w.reload()
	if got := order(w.World, "d", "+4799999999", "1234"); got != (priced{201, "1", "new"}) {
		t.Errorf("with a higher budget: %+v", got)
	}
	wantSpent(w.World, "1.45")
	w.Stop()
}

// TestConsoleShowsCost: the page of organisations has what each has spent.
func TestConsoleShowsCost(t *testing.T) {
	w := newConsole(t, smsctest.Profile{}, home)
	w.Stop()
	w.EditConfig("[[organisation]]\n", anyPlus+"[[organisation]]\nbudget_per_month = \"3.00\"\n")
	w.Start()
	w.base = "https://" + w.Daemon.ConsoleAddr()
	order(w.World, "a", "+4799999999", "1234")
	order(w.World, "b", "+46701740605", "1234")
	wantSpent(w.World, "2.45")
	if _, text := w.as("vera").get("/organisations"); !strings.Contains(text, "Cost this month (UTC): 2.45 NOK (81 % of the budget of 3.00)") {
		t.Errorf("%s", text)
	}
	w.Stop()
}
