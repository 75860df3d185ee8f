package clientcert

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	caEnds = prometheus.NewDesc("straks_client_ca_not_after_seconds",
		"Unix time at which the first certificate expires of the authorities that vouch for clients of the organisation; empty for the shared ones.", []string{"organisation"}, nil)
	listEnds = prometheus.NewDesc("straks_client_crl_next_update_seconds",
		"Unix time from which a list of revoked client certificates is out of date, by organisation likewise.", []string{"organisation"}, nil)
)

// Describe sends the descriptions of the metrics.
func (v *Verifier) Describe(to chan<- *prometheus.Desc) {
	to <- caEnds
	to <- listEnds
}

// Collect sends the metrics of the files as they are now.
func (v *Verifier) Collect(to chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, at time.Time, organisation string) {
		if !at.IsZero() {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(at.Unix()), organisation)
		}
	}
	for _, e := range v.Ends() {
		send(caEnds, e.CA, e.Organisation)
		send(listEnds, e.List, e.Organisation)
	}
}

// End is when what an authority has ends.
type End struct {
	Organisation string    // of the authority
	CA           time.Time // the first of its certificates
	List         time.Time // the first of its lists is out of date; zero: it has none
}

// Ends returns when authorities and lists end, of the files as they are now.
func (v *Verifier) Ends() (all []End) {
	v.follow()
	for _, a := range v.current.Load().authorities {
		all = append(all, End{a.Organisation, a.certsUntil(), a.listsUntil()})
	}
	return all
}

// certsUntil returns when the first certificate of the authority expires.
func (a *authority) certsUntil() (first time.Time) {
	for _, cert := range a.certs {
		if first.IsZero() || cert.NotAfter.Before(first) {
			first = cert.NotAfter
		}
	}
	return first
}
