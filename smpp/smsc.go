package smpp

import (
	"container/list"
	"crypto/tls"
	"fmt"
	"slices"

	"straks/smpp/session"
	"straks/smpp/wire"
)

// smsc is an SMSC with its binds.
type smsc struct {
	SMSC
	tls          *tls.Config                 // nil for none
	dispositions map[wire.Status]Disposition // overrides
	binds        []*bind                     // that submit
	receivers    []*bind                     // that only receive
	limiter      bindLimiter
	queue        list.List // of *waiter, under slots.mu
	admitted     int       // messages that room is kept for, likewise
	metrics      *smscMetrics
}

// newSMSC makes an SMSC of a configuration that was checked.
func newSMSC(c SMSC, secret *tls.Config, m *metrics) *smsc {
	s := &smsc{SMSC: c, tls: secret, limiter: newBindLimiter(c.RefusedDelay), dispositions: make(map[wire.Status]Disposition), metrics: m.of(c.Name)}
	for key, value := range c.Status {
		status, _ := ParseStatus(key)
		s.dispositions[status], _ = ParseDisposition(value)
	}
	for i := range c.Binds {
		name := fmt.Sprintf("%s/%d", c.Name, i+1)
		if c.Mode == ModeTransceiver {
			s.binds = append(s.binds, newBind(s, name, session.Transceiver, i))
			continue
		}
		s.binds = append(s.binds, newBind(s, name+"t", session.Transmitter, i))
		s.receivers = append(s.receivers, newBind(s, name+"r", session.Receiver, i))
	}
	return s
}

// verdict returns what a status means from this SMSC.
func (s *smsc) classify(status wire.Status) Disposition {
	if v, ok := s.dispositions[status]; ok && status != wire.ESMEOK {
		return v
	}
	return DefaultDisposition(status)
}

// others returns the binds of the SMSC but one: those to avoid when it must be that one.
func (s *smsc) others(but *bind) []*bind {
	var others []*bind
	for _, b := range s.binds {
		if b != but {
			others = append(others, b)
		}
	}
	return others
}

// all returns every bind.
func (s *smsc) all() []*bind { return slices.Concat(s.binds, s.receivers) }
