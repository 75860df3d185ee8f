package main

import (
	"straks/orders/bolt"
	"straks/smpp"
	"straks/smtp"
)

// status is what /status serves and "straks status" prints.
type status struct {
	Version  string            `json:"version"`
	Ready    bool              `json:"ready"`
	Reason   string            `json:"reason,omitempty"` // why it is not ready
	InFlight int               `json:"inFlight"`         // orders between request and outcome
	SMSC     []smpp.BindState  `json:"smsc"`
	Relay    []smtp.RelayState `json:"relay"`
	Journal  bolt.Stats        `json:"journal"`
}

func (d *daemon) status() any {
	version, _, _ := buildVersion()
	s := status{Version: version, InFlight: d.service.InFlight(), SMSC: []smpp.BindState{}, Relay: []smtp.RelayState{}}
	if err := d.ready(); err != nil {
		s.Reason = err.Error()
	}
	s.Ready = s.Reason == ""
	if d.gateway != nil {
		s.SMSC = d.gateway.States()
	}
	if d.pool != nil {
		s.Relay = d.pool.States()
	}
	s.Journal = d.journal.Levels()
	return s
}
