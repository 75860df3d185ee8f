package daemon

import (
	"fmt"
	"net/http"
	"time"

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
	ready, of := d.Ready, []orders.Channel{orders.SMS, orders.Email}
	if names, ok := r.URL.Query()["channel"]; ok {
		channel, known := channels[names[0]]
		if !known || len(names) > 1 {
			http.Error(w, "channel must be sms or email", http.StatusBadRequest)
			return
		}
		ready, of = func() error { return d.ReadyFor(channel) }, []orders.Channel{channel}
	}
	if err := ready(); err != nil {
		http.Error(w, err.Error()+d.nextAttempt(time.Now(), of...), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
	if handed := d.handedOver(); handed != "" {
		fmt.Fprintln(w, handed)
	}
}

// channels are those of ?channel=, by name.
var channels = map[string]orders.Channel{"sms": orders.SMS, "email": orders.Email}
