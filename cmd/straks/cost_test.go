package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// TestBudgetOverKills: 64 clients never spend more than the budget, though the daemon is killed again and again while
// they do. What was under way at a kill counts.
func TestBudgetOverKills(t *testing.T) {
	const budget, kills, clients = 400, 3, 64
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.EditConfig("[[organisation]]\n", fmt.Sprintf("[[price]]\nprice = \"1.00\"\n[[organisation]]\nbudget_per_month = \"%d.00\"\n", budget))
	for life := range kills + 1 {
		p := startProcess(w)
		c := w.ClientAt(p.api)
		eventually.True(t, "a bind", func() bool { return p.ready() == "" })
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for n := range clients {
			all.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					_, err := c.SendSMS(ctx, daemontest.SMS(fmt.Sprint(life, "-", n, "-", i), "+4799999999"))
					if problem := (*client.Problem)(nil); errors.As(err, &problem) && problem.Status == 429 && problem.RetryAfter > time.Minute {
						return // and not only until others are answered
					}
				}
			})
		}
		if life < kills {
			eventually.True(t, "messages", func() bool { return len(w.SMSC.Submits()) >= (life+1)*budget/(kills+2) })
		} else {
			all.Wait()
			if out := succeed(t, "status", "-config", w.ConfigFile()); !strings.Contains(out, "400.00  400.00  100 %") {
				t.Errorf("the budget is not used up:\n%s", out)
			}
		}
		err := p.kill()
		stop()
		all.Wait()
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.SMSC.Submits()); n > budget || n < budget-kills*clients {
		t.Errorf("%d messages were sent for %d", n, budget)
	}
}
