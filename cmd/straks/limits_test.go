package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// TestLimitsCommand: nothing is suspected, so nothing can be lifted; and what is missing is said. internal/daemon tests
// what there is to see.
func TestLimitsCommand(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{}, "")
	for _, c := range []struct {
		args []string
		code int
		told string
	}{
		{[]string{"list"}, exitDone, "nothing is suspected of pumping"},
		{[]string{"list", "-json"}, exitDone, ""},
		{[]string{"lift", "+371210"}, exitUsage, "-org is missing"},
		{[]string{"lift", "-org", "ttd", "+371210"}, exitUsage, "-reason is missing"},
		{[]string{"lift", "-org", "ttd", "-reason", "a cup", "+371210"}, exitFailed, "nothing of that name is suspected"},
		{[]string{"lift", "-org", "ttd", "-reason", "a cup"}, exitUsage, "PREFIX"},
	} {
		code, stdout, stderr := straks(t, "", append([]string{"limits", c.args[0], "-config", w.ConfigFile()}, c.args[1:]...)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.told) {
			t.Errorf("%q: exit %d, want %d with %q: %s%s", c.args, code, c.code, c.told, stdout, stderr)
		}
	}
}

// TestLimitsOverKills: 64 clients never get more than the limits of a recipient and of a country allow, though the daemon
// is killed again and again while they try. What was under way at a kill counts.
func TestLimitsOverKills(t *testing.T) {
	const one, country, kills, clients = 60, 400, 3, 64
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.EditConfig("recipient = []", fmt.Sprintf("recipient = [\"%d in 1h\"]", one))
	w.EditConfig("[[organisation.token]]", fmt.Sprintf("[[organisation.prefix_limit]]\ncountry = \"NO\"\norders = %d\n[[organisation.token]]", country))
	for life := range kills + 1 {
		p := startProcess(w)
		c := w.ClientAt(p.api)
		eventually.True(t, "a bind", func() bool { return p.ready() == "" })
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for n := range clients {
			all.Go(func() {
				numbers := []string{"+4799999999", fmt.Sprintf("+47901%05d", n)}
				for i := 0; ctx.Err() == nil && len(numbers) > 0; i++ {
					to := numbers[i%len(numbers)]
					_, err := c.SendSMS(ctx, daemontest.SMS(fmt.Sprint(life, "-", n, "-", i), to))
					if problem := (*client.Problem)(nil); errors.As(err, &problem) && problem.Status == 429 {
						numbers = slices.DeleteFunc(numbers, func(s string) bool { return s == to })
					}
				}
			})
		}
		if life < kills {
			eventually.True(t, "messages", func() bool { return len(w.SMSC.Submits()) >= (life+1)*country/(kills+2) })
		} else {
			all.Wait()
		}
		err := p.kill()
		stop()
		all.Wait()
		if err != nil {
			t.Fatal(err)
		}
	}
	toOne := 0
	for _, s := range w.SMSC.Submits() {
		if strings.HasSuffix(s.Dest, "4799999999") {
			toOne++
		}
	}
	if n := len(w.SMSC.Submits()); toOne > one || n > country || n < country-kills*clients {
		t.Errorf("%d messages to one recipient, of at most %d; %d to the country, of at most %d", toOne, one, n, country)
	}
}
