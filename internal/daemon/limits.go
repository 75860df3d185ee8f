package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"straks/internal/audit"
	"straks/internal/config"
	"straks/internal/limits"
	"straks/internal/pumping"
	"straks/orders"
)

// limiter is all that bounds orders.
type limiter struct {
	*limits.Limits
	pumping *pumping.Detector
}

// Take implements orders.Limiter.
func (l limiter) Take(organisation string, c orders.Channel, to orders.Recipient, at time.Time) (undo func(), err error) {
	back, err := l.Limits.Take(organisation, c, to, at)
	if err != nil || c != orders.SMS {
		return back, err
	}
	again, err := l.pumping.Take(organisation, to, at)
	if err != nil {
		back()
		return nil, err
	}
	return func() { back(); again() }, nil
}

// Count counts an order of another node. settle takes it back if it did not leave.
func (l limiter) Count(s *orders.Shipment) (settle func(spent orders.Cost, left bool)) {
	settled, undo := l.Limits.Count(s), func() {}
	if s.Channel == orders.SMS {
		undo = l.pumping.Count(s.Organisation, s.Recipient, s.Accepted)
	}
	return func(spent orders.Cost, left bool) {
		settled(spent, left)
		if !left {
			undo()
		}
	}
}

// wireLimits gives the service its limits.
func (d *Daemon) wireLimits(service *orders.Config) {
	cfg := d.config().OrderLimits()
	cfg.Log, cfg.Registerer = d.log, d.registry
	d.limits = limits.New(cfg)
	suspect := d.config().PumpingModes()
	suspect.Log, suspect.Registerer = d.log, d.registry
	d.pumping = pumping.New(suspect)
	service.Limiter = limiter{d.limits, d.pumping}
	service.Settled = func(s *orders.Shipment) {
		if s.Channel == orders.SMS {
			d.pumping.Settled(s.Organisation, s.Recipient, s.Status.Delivered(), time.Now())
		}
	}
}

// relimit puts other limits in the place of those in use. They hold at once; what is said is what of the past could not
// be counted.
func (d *Daemon) relimit(cfg *config.Config) {
	d.pumping.Reconfigure(cfg.PumpingModes())
	if err := d.limits.Reconfigure(context.Background(), d.journal, cfg.OrderLimits(), d.now()); err != nil {
		d.log.Error("limits: orders of before this change are missing in windows that are new or longer", "err", err)
	}
}

// Suspected are the prefixes and countries whose orders look like pumping.
type Suspected struct {
	Pumping []pumping.Suspicion `json:"pumping"`
	Others  *Counted            `json:"others,omitempty"` // where several nodes share the journal
}

// serveLimits is GET /limits, for "straks limits list".
func (d *Daemon) serveLimits(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, Suspected{d.pumping.Suspicions(), d.counted()})
}

// Lift is the body of POST /limits/lift.
type Lift struct {
	Organisation string `json:"organisation"`
	Prefix       string `json:"prefix"` // as in Suspicion
	Reason       string `json:"reason"` // required, at most 200 octets
	By           string `json:"by"`     // the operator's name
}

// serveLift ends a suspicion, for "straks limits lift".
func (d *Daemon) serveLift(w http.ResponseWriter, r *http.Request) {
	var lift Lift
	in := json.NewDecoder(r.Body)
	in.DisallowUnknownFields()
	if err := in.Decode(&lift); err != nil || lift.Reason == "" || max(len(lift.Reason), len(lift.By), len(lift.Organisation), len(lift.Prefix)) > maxBlockWords {
		http.Error(w, fmt.Sprintf("want JSON with organisation, prefix, reason and by, each of at most %d octets, and a reason", maxBlockWords), http.StatusBadRequest)
		return
	}
	outcome, known := "ok", d.pumping.Lift(lift.Organisation, lift.Prefix, time.Now())
	if !known {
		outcome = "not suspected"
	}
	d.operated(r, audit.Event{Action: audit.LiftLimit, Organisation: lift.Organisation, Object: "pumping " + lift.Prefix, Outcome: outcome, Reason: lift.Reason}, lift.By)
	if !known {
		http.Error(w, "nothing of that name is suspected for that organisation: see straks limits list", http.StatusBadRequest)
		return
	}
	d.log.Info("suspicion of pumping lifted", "organisation", lift.Organisation, "prefix", lift.Prefix, "by", lift.By)
	writeJSON(w, Suspected{d.pumping.Suspicions(), d.counted()})
}

// suspectedOf returns what is suspected of an organisation, for the console.
func (d *Daemon) suspectedOf(organisation string) (all []string) {
	for _, s := range d.pumping.Suspicions() {
		if s.Organisation == organisation {
			all = append(all, s.Prefix)
		}
	}
	return all
}
