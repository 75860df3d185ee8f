package session

import (
	"errors"
	"fmt"

	"straks/smpp/wire"
)

// What an error of Submit says about the message. Every one of them is exactly
// one of these two (errors.Is); the cause is wrapped beside it.
var (
	// ErrNotSent: not one octet of it left. It may be sent again, elsewhere too.
	ErrNotSent = errors.New("smpp: not sent")
	// ErrUnknown: it may have left, and no answer came. It must not be sent again.
	ErrUnknown = errors.New("smpp: outcome unknown")
)

// Why a session ended, or does not take a submit.
var (
	ErrClosed     = errors.New("smpp: session closed")           // by Unbind or Close
	ErrUnbound    = errors.New("smpp: the SMSC unbound")         // it sent unbind
	ErrDraining   = errors.New("smpp: session is unbinding")     // no new submits
	ErrDead       = errors.New("smpp: the SMSC fell silent")     // no PDU for DeadAfter
	ErrLost       = errors.New("smpp: connection lost")          // closed or broken by the peer or the network
	ErrNoAnswer   = errors.New("smpp: no answer in time")        // ResponseTimeout, BindTimeout or UnbindTimeout
	ErrReceiver   = errors.New("smpp: bound as receiver")        // which may not submit
	errUnreadable = errors.New("smpp: octets that are no frame") // from the peer
)

// BindError is an SMSC's refusal to bind.
type BindError struct {
	Status wire.Status
}

func (e *BindError) Error() string { return "smpp: bind refused: " + e.Status.String() }

// Credentials tells whether the refusal may be about who we are: trying again soon
// is of no use then and may lock the account. Of ESME_RBINDFAIL, which may mean
// anything, gate knows more.
func (e *BindError) Credentials() bool {
	switch e.Status {
	case wire.ESMEInvPaswd, wire.ESMEInvSysID, wire.ESMEInvSysTyp, wire.ESMEBindFail:
		return true
	}
	return false
}

func notSent(cause error) error { return fmt.Errorf("%w: %w", ErrNotSent, cause) }

func unknown(cause error) error { return fmt.Errorf("%w: %w", ErrUnknown, cause) }
