package daemon

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/console"
	"straks/internal/config"
)

var tokenEnds = prometheus.NewDesc("straks_token_not_after_seconds",
	"Unix time at which a static token ends; absent for those that do not.", []string{"organisation", "token"}, nil)

// expiry is the collector of the ends of the tokens in use.
type expiry struct{ config func() *config.Config }

// Describe sends the description of the metric.
func (e expiry) Describe(to chan<- *prometheus.Desc) { to <- tokenEnds }

// Collect sends the metric of each token that ends.
func (e expiry) Collect(to chan<- prometheus.Metric) {
	for _, t := range e.config().Tokens() {
		if !t.Expires.IsZero() {
			to <- prometheus.MustNewConstMetric(tokenEnds, prometheus.GaugeValue, float64(t.Expires.Unix()), t.Organisation, t.Name)
		}
	}
}

// warnOfEnds logs every day which tokens and certificates end soon. The warnings of the configuration say it at the
// start and at a reload.
func (d *Daemon) warnOfEnds(ctx context.Context) error {
	ticker := time.NewTicker(24 * time.Hour)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			logEnds(d.log, d.ends(), now)
		case <-ctx.Done():
			return nil
		}
	}
}

// logEnds logs what ends soon, or has ended. Lists of revoked certificates end every few days: package clientcert says when
// one is out of date.
func logEnds(log *slog.Logger, ends []console.End, now time.Time) {
	for _, e := range ends {
		if e.Kind != "crl" && e.At.Before(now.Add(config.Renewal)) {
			log.Warn("ends soon, or has ended: replace it", "kind", e.Kind, "name", e.Name, "end", e.At.UTC().Format(time.RFC3339))
		}
	}
}
