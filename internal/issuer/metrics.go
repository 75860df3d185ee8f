package issuer

import "github.com/prometheus/client_golang/prometheus"

// register registers the metrics of an issuer.
func (r *keyring) register(reg prometheus.Registerer) {
	labels := prometheus.Labels{"issuer": r.cfg.Name}
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "straks_issuer_keys_read_timestamp_seconds", ConstLabels: labels,
			Help: "Unix time at which the issuer's keys were last read; 0: never. A day after it, its tokens can't be checked any more."},
			func() float64 {
				r.mu.Lock()
				defer r.mu.Unlock()
				if r.read.IsZero() {
					return 0
				}
				return float64(r.read.Unix())
			}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "straks_issuer_keys", ConstLabels: labels,
			Help: "Keys of the issuer that verify tokens."},
			func() float64 {
				r.mu.Lock()
				defer r.mu.Unlock()
				return float64(len(r.keys))
			}))
}
