package daemon

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"straks/orders"
)

// metricsRoutes returns what monitoring can ask for, by pattern of http.ServeMux.
func (d *Daemon) metricsRoutes() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /healthz": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }),
		"GET /readyz":  http.HandlerFunc(d.serveReady),
		"GET /metrics": promhttp.HandlerFor(d.registry, promhttp.HandlerOpts{Registry: d.registry}),
	}
}

// serveReady reports whether orders would be taken and sent now, of one channel or of all.
func (d *Daemon) serveReady(w http.ResponseWriter, r *http.Request) {
	ready := d.Ready
	if names, ok := r.URL.Query()["channel"]; ok {
		channel, known := channels[names[0]]
		if !known || len(names) > 1 {
			http.Error(w, "channel must be sms or email", http.StatusBadRequest)
			return
		}
		ready = func() error { return d.ReadyFor(channel) }
	}
	if err := ready(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// channels are those of ?channel=, by name.
var channels = map[string]orders.Channel{"sms": orders.SMS, "email": orders.Email}

// Ready returns nil when orders of every channel in use would be taken and sent now, else the
// reasons why not.
func (d *Daemon) Ready() error { return d.readiness(d.service.Ready) }

// ReadyFor is Ready for one channel.
func (d *Daemon) ReadyFor(channel orders.Channel) error {
	return d.readiness(func() error { return d.service.ReadyFor(channel) })
}

// databaseReady returns why the journal's database can't be relied upon, or nil.
func (d *Daemon) databaseReady() error {
	if d.doctor == nil {
		return nil
	}
	return d.doctor.Ready()
}

func (d *Daemon) readiness(carriers func() error) error {
	if d.draining.Load() {
		return errors.New("draining")
	}
	return errors.Join(d.journal.Ready(), d.databaseReady(), carriers())
}
