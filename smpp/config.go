package smpp

import (
	"time"

	"straks/smpp/gsm"
)

// Config is the configuration of a Gateway. In the file the name of a key is
// the name of the field, in snake_case; lists of tables are in the singular
// (smsc, route). Durations are written like "250ms", "15s" or "2m".
type Config struct {
	// SMSCs are the message centres to bind to. Required, at least one.
	SMSCs []SMSC
	// Routes decide which SMSC a message goes to. Without any, every message goes
	// to the SMSCs in the order above. With some, a message that no route
	// matches is refused before it is stored: a list of prefixes
	// without a route that matches everything is a list of allowed countries.
	Routes []Route
	// DrainTime is how long a shutdown waits for responses to submits in flight.
	// Default 5s. Messages without a response by then end as unknown.
	DrainTime time.Duration

	// Allow is no key of the file. It is asked at the moment when a submit_sm is written, whatever time has passed
	// since the message was accepted: an error keeps it from being written, and counts as any other reason for
	// which the bind can't take it now. Where a process is one of several, it may have lost the right to submit
	// meanwhile. It must not block. Nil allows everything. Reconfigure does not change it.
	Allow func() error `json:"-"`
	// Slots is no key of the file either. It shares the binds of an account with other processes; see BindSlots. Nil:
	// every bind is ours. Reconfigure does not change it.
	Slots BindSlots `json:"-"`
}

// SMSC is one message centre: one account at one carrier.
type SMSC struct {
	// Name is used in routes, logs, metrics and the journal. Required,
	// 1 to 64 letters, digits, '-', '_' and '.'. Receipts are matched by it: after a
	// change, receipts of older messages are not recognised.
	Name string
	// Addr is the SMSC's "host:port". Required.
	Addr string
	// MoreAddrs are further addresses of the same account. Binds are spread over all
	// of them, and every attempt to bind takes the next.
	MoreAddrs []string
	// SystemID is the account's name, at most 15 octets. Required.
	SystemID string
	// Password is at most 8 octets by the standard (SMPP 3.4 §5.2.2), 64 for
	// carriers that give out longer ones.
	Password string
	// SystemType is at most 12 octets. Default empty; some SMSCs require a certain word.
	SystemType string
	// ServiceType goes into every submit_sm, at most 5 octets. Default empty.
	ServiceType string
	// AddressRange is the range of addresses whose messages and receipts we
	// want, at most 40 octets. Default empty: the SMSC's own setting for the account.
	AddressRange string

	// InterfaceVersion is the SMPP version of the bind: "3.4" (default), or "3.3" for
	// SMSCs that do not know optional parameters: none are sent (SMPP 3.4 §5.2.4).
	InterfaceVersion InterfaceVersion
	// Mode is "transceiver", or "transmitter+receiver" for SMSCs that do not know
	// transceivers: every bind is then two sessions. Default: "transceiver" with version 3.4,
	// the other with 3.3.
	Mode BindMode
	// Binds is how many binds are kept, 1 to 64, default 1. More binds give a higher rate if
	// the SMSC limits each, and keep the service up while one reconnects.
	Binds int
	// Window is how many submit_sm of one bind may be unanswered, 1 to 10000, default
	// 32. If it is more than the SMSC allows, the SMSC throttles. Throughput is at most
	// the window divided by the response time.
	Window int
	// WindowWait is how long a message waits for a slot in a full window before the next
	// SMSC of its route is considered too. Default 250ms.
	WindowWait time.Duration
	// MaxWaiting is how many messages may wait for a slot in the SMSC's windows, 1 to
	// 100000, default 256. One more goes to the next SMSC of its route. If no queue of the
	// route has room, it is not sent, and the sender is told at once. So an SMSC that hangs holds up its windows and its queue, and no
	// other messages.
	MaxWaiting int
	// Rate is how many submit_sm per second one bind may send at most, 0.01 to 1000000, evenly
	// spaced, so that no second has more. Default 0: no ceiling. Below the ceiling, the rate
	// follows what the SMSC accepts.
	Rate float64
	// StallAfter is how long responses may be missing before other binds and SMSCs
	// are preferred to this bind. Default 1s. A stalled bind is used
	// when there is nothing else. After four times that, and 4s at the least, an SMSC that
	// responds on no bind is silent; see the package comment.
	StallAfter time.Duration

	// ConnectTimeout bounds connecting with the TLS handshake, and again the bind.
	// Default 5s. In the first minute of an outage, connecting without TLS is
	// bounded by 1s, to notice the SMSC's return soon.
	ConnectTimeout time.Duration
	// ResponseTimeout is how long to wait for the response to a submit_sm before
	// its slot in the window is released. Default 10s. The send
	// deadline usually comes first; the response counts whenever it comes.
	ResponseTimeout time.Duration
	// EnquireLink is how long the SMSC may be silent before we send enquire_link.
	// Default 5s.
	EnquireLink time.Duration
	// DeadLink is how long the SMSC may be silent before the session is given up and
	// bound again. Default 15s. Must be longer than EnquireLink.
	DeadLink time.Duration
	// ReconnectMax is the longest wait between two attempts in a long
	// outage. Default 30s. In the first minute they are 200 to 400 ms apart.
	ReconnectMax time.Duration
	// RebindPause is the least wait before a bind whose session ended with an unbind, the SMSC's
	// or ours, 0 to 10m, default 0. Some SMSCs refuse one that comes sooner (LINK Mobility: 30s). A
	// connection that is lost without an unbind is bound again at once.
	RebindPause time.Duration
	// RefusedDelay is the wait after the SMSC refused the credentials. Default
	// 60s, growing up to 16 times that, so that the account isn't locked. If another bind
	// is up, only the refused bind waits. ESME_RBINDFAIL counts as such a refusal
	// until the SMSC has accepted a bind for the first time; after that it may mean "too many
	// binds", and ReconnectMax applies.
	RefusedDelay time.Duration

	// TLS is how the connection is encrypted. Default: not at all, as SMPP over
	// a VPN or a leased line is.
	TLS TLS

	// Alphabet is how text is encoded that has only characters of the SMSC's
	// default alphabet: "gsm" (default; one character per octet), "gsm-packed" (8
	// in 7 octets) or "latin1" (ISO 8859-1). Other text goes as UCS-2.
	Alphabet Alphabet
	// DataCoding is the data_coding for that alphabet, 0 to 255. Default 0 for both
	// forms of GSM, 3 for latin1. Some SMSCs want 1 or 241.
	DataCoding *int
	// LongMessages is how a message of several parts is sent: "udh8" (default)
	// or "udh16": parts with a user data header, of 8 or 16 bit reference; "sar":
	// parts with SAR TLVs; "payload": in one piece in message_payload, the
	// SMSC cuts it.
	LongMessages LongMode
	// Sender is the sender of messages that name none, if the route has none
	// either. Default empty: the SMSC uses its own.
	Sender string
	// Address overrides type of number and numbering plan.
	Address Address

	// Validity is how the time to live is sent: "relative" (default), "absolute"
	// (UTC; both clocks must be right) or "none" (the SMSC's own, often days).
	Validity ValidityMode
	// ValidityFloor is the least validity period that is sent. Default 0. For
	// SMSCs that refuse short ones; a message may then be delivered after its
	// time to live.
	ValidityFloor time.Duration
	// ValidityCeiling is the longest that is sent, for SMSCs that refuse long ones.
	// Default 0: none.
	ValidityCeiling time.Duration
	// MinRest is the time to live that must be left when a message is written. With
	// less, the message isn't sent. Default 1s.
	MinRest time.Duration

	// Status overrides the meaning of a command_status in a response. Keys are names
	// ("ESME_RSUBMITFAIL") or numbers ("0x401"), but not that of success; values say that the message
	// must be tried again: "throttled", "temporary", "rebind"; or why it is
	// refused for good: "failed", "rejected", "invalid_recipient", "barred",
	// "not_identified", "invalid_sender". Statuses that SMPP 3.4 does not know are
	// "failed" by default.
	Status map[string]string
}

// TLS is how a connection is encrypted.
type TLS struct {
	// Mode is "off" (default) or "on".
	Mode string
	// CAFile holds the certificates (PEM) that may sign the SMSC's. Default: the system's.
	CAFile string
	// CertFile and KeyFile are our certificate and its key (PEM), for SMSCs that ask
	// for one. Default none. Both or neither.
	CertFile, KeyFile string
	// ServerName is the name that the SMSC's certificate must have. Default: the
	// host in the address.
	ServerName string
	// MinVersion is "1.2" (default) or "1.3".
	MinVersion string
}

// Address overrides type of number and numbering plan by kind of address.
type Address struct {
	Alphanumeric  *Numbering // default TON 5, NPI 0
	ShortCode     *Numbering // default TON 3, NPI 0
	International *Numbering // default TON 1, NPI 1
	Destination   *Numbering // default TON 1, NPI 1
}

// Route sends the messages that match all of its conditions to a list of SMSCs.
// Of several routes that match, the one with the longest matching prefix is
// taken, then one that names the sender, then one that names the organisation,
// then the first.
type Route struct {
	// Name is used in logs and "straks route", and unique. Default: the route's
	// number, like "route-1".
	Name string
	// Prefixes are beginnings of numbers, like "+47". Default: any number.
	Prefixes []string
	// Senders are the senders of the messages: the caller's, or its
	// organisation's default sender if it gives none. Default: any.
	Senders []string
	// Organisations are the callers' organisations. Default: any.
	Organisations []string
	// SMSCs are names, in the order in which they are tried. Required.
	SMSCs []string
	// Weights balances load over the SMSCs it names: one is picked at random, in proportion
	// to its weight (1 to 1000), and the others are its fallback. They are tried in the
	// position of the first of them; other SMSCs keep theirs. Default none.
	Weights map[string]int
	// Sender is the sender of messages that name none. Default: the SMSC's.
	Sender string
}

// InterfaceVersion is a version of SMPP.
type InterfaceVersion string

const (
	Version34 InterfaceVersion = "3.4"
	Version33 InterfaceVersion = "3.3"
)

// octet returns the version as in a bind PDU (SMPP 3.4 §5.2.4).
func (v InterfaceVersion) octet() byte {
	if v == Version33 {
		return 0x33
	}
	return 0x34
}

// BindMode is how sessions are divided.
type BindMode string

const (
	ModeTransceiver BindMode = "transceiver"
	ModeSeparate    BindMode = "transmitter+receiver"
)

// LongMode is how a message of several parts is sent.
type LongMode string

const (
	LongUDH8    LongMode = "udh8"    // 3GPP TS 23.040 §9.2.3.24.1
	LongUDH16   LongMode = "udh16"   // 3GPP TS 23.040 §9.2.3.24.8
	LongSAR     LongMode = "sar"     // SMPP 3.4 §5.3.2.22 to §5.3.2.24
	LongPayload LongMode = "payload" // SMPP 3.4 §5.3.2.32
)

// Alphabet is the SMSC's default alphabet.
type Alphabet string

const (
	AlphabetGSM       Alphabet = "gsm"
	AlphabetGSMPacked Alphabet = "gsm-packed"
	AlphabetLatin1    Alphabet = "latin1"
)

// Encoding returns the alphabet's name in package gsm.
func (a Alphabet) Encoding() gsm.Encoding {
	switch a {
	case AlphabetGSMPacked:
		return gsm.GSM7Packed
	case AlphabetLatin1:
		return gsm.Latin1
	}
	return gsm.GSM7
}

// addrs returns every address of the SMSC.
func (s *SMSC) addrs() []string { return append([]string{s.Addr}, s.MoreAddrs...) }
