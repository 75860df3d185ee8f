package daemon

import (
	"fmt"

	"straks/internal/printable"
	"straks/smpp"
	"straks/smtp"
)

// Status is what /status serves and "straks status" prints.
type Status struct {
	Version  string            `json:"version"`
	Ready    bool              `json:"ready"`
	Reason   string            `json:"reason,omitempty"` // why it is not ready
	InFlight int               `json:"inFlight"`         // orders between request and outcome
	SMSC     []smpp.BindState  `json:"smsc"`
	Relay    []smtp.RelayState `json:"relay"`
	Journal  any               `json:"journal"` // of the engine: bolt.Stats
}

// Status returns what /status serves now.
func (d *Daemon) Status() Status {
	version, _, _ := Version()
	s := Status{Version: version, InFlight: d.service.InFlight(), SMSC: []smpp.BindState{}, Relay: []smtp.RelayState{}}
	if err := d.Ready(); err != nil {
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

// statusLine is what systemctl shows. It must never block: systemd restarts a
// daemon that cannot say how it is.
func (d *Daemon) statusLine() string {
	line := fmt.Sprintf("%d orders in flight", d.service.InFlight())
	if err := d.Ready(); err != nil {
		return line + "; not ready: " + printable.Line(err.Error())
	}
	return line + "; ready"
}
