package relaytest

import "time"

// Trouble is what ails a whole relay for a while. The zero value is none.
type Trouble struct {
	Busy  bool          // MAIL gets 451 4.3.2
	Delay time.Duration // before the replies to MAIL, RCPT and the final dot, where Profile.Delay is shorter
	Down  bool          // connections are closed at once, without a greeting
}

// SetTrouble replaces the trouble from the next command on. Trouble that is Down closes the
// connections that are open.
func (r *Relay) SetTrouble(t Trouble) {
	r.ails.Store(&t)
	if r.listener.setDown(t.Down); t.Down {
		r.listener.closeAll()
	}
}

func (r *Relay) trouble() Trouble {
	if t := r.ails.Load(); t != nil {
		return *t
	}
	return Trouble{}
}
