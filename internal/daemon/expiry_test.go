package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"straks/internal/clientcert"
	"straks/internal/config"
	"straks/internal/logtest"
)

// TestTokensThatEnd: each day the log names the tokens that end within 14 days, and a metric says when each ends.
func TestTokensThatEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logtest.Log{}
		now := time.Now()
		d := &Daemon{log: slog.New(slog.NewJSONHandler(log, nil))}
		var err error
		if d.clients, err = clientcert.New(clientcert.Config{}, d.log); err != nil {
			t.Fatal(err)
		}
		day := 24 * time.Hour
		cfg := &config.Config{Organisations: []config.Organisation{{Name: "ttd", Tokens: []config.Token{
			{Name: "never"}, {Name: "late", Expires: now.Add(17*day + time.Hour)}, {Name: "soon", Expires: now.Add(5 * day)}, {Name: "ended", Expires: now.Add(-day)}}}}}
		d.conf.Store(cfg)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.warnOfEnds(ctx) }()
		for n, want := range []string{"soon ended", "soon ended", "soon ended", "late soon ended"} {
			time.Sleep(day)
			synctest.Wait()
			var names []string
			for line := range strings.Lines(log.Take()) {
				_, name, _ := strings.Cut(line, `"name":"ttd `)
				name, _, _ = strings.Cut(name, `"`)
				names = append(names, name)
			}
			if got := strings.Join(names, " "); got != want {
				t.Errorf("day %d: %s, want %s", n, got, want)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want := fmt.Sprintf(`
# HELP straks_token_not_after_seconds Unix time at which a static token ends; absent for those that do not.
# TYPE straks_token_not_after_seconds gauge
straks_token_not_after_seconds{organisation="ttd",token="ended"} %d
straks_token_not_after_seconds{organisation="ttd",token="late"} %d
straks_token_not_after_seconds{organisation="ttd",token="soon"} %d
`, now.Add(-day).Unix(), now.Add(17*day+time.Hour).Unix(), now.Add(5*day).Unix())
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(expiry{d.config})
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
			t.Error(err)
		}
	})
}
