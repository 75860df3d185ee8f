package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
)

// Event is something that was done, or refused. Only Action is required.
type Event struct {
	At           time.Time // set by Record where it is zero
	Action       string    // one of the actions below
	Organisation string    // that acted, or that the action is about
	Token        string    // name of the token by which the organisation acted, or of the issuer of its web token
	Certificate  string    // name of the client certificate by which it acted, and the SHA-256 of it
	User         string    // operator, as the operating system, the console or the operator says
	Peer         string    // address that the call came from; "unix" for a socket
	Object       string    // shipment, carrier, file: what the action is about. Never a recipient
	Outcome      string    // "ok", or why not
	Reason       string    // in the words of the one who acted
	Trace        string    // trace-id of the request
	Count        int       // of what was found, read or written
}

// Actions.
const (
	Start              = "daemon.start"   // Object: version, Outcome: SHA-256 of the configuration
	Token              = "token"          // one that is valid from this start on. Object: beginning of its SHA-256, Reason: its scopes
	Repaired           = "audit.repaired" // Object: file, Count: octets of a torn line that were removed
	Broken             = "audit.broken"   // Object: file whose last line can't be read; a new chain begins
	Order              = "order"          // Object: shipment, Outcome: what became of the call
	ReadShipment       = "shipment.read"
	ReadFeed           = "feed.read"           // Count: entries
	StartVerification  = "verification.start"  // Object: verification, Reason: its status
	CheckVerification  = "verification.check"  // Object: verification; Outcome: approved, wrong, or why not
	ResendVerification = "verification.resend" // Object: verification
	CancelVerification = "verification.cancel" // Object: verification
	ReadVerification   = "verification.read"   // Object: verification
	Lookup             = "lookup"              // an operator looked for messages; Object: what kind of thing was looked for
	ReadBlocks         = "blocks.read"
	AddBlock           = "block.add"
	LiftBlock          = "block.lift"
	LiftLimit          = "limit.lift" // Object: the prefix or country that is not suspected any more
	Forget             = "forget"     // a person's data was erased. Object: channel, Count: shipments
	Backup             = "journal.backup"
	ListenToWords      = "carrier.words"
	Reload             = "daemon.reload"  // the configuration was read again. Object: SHA-256 of the one in use, Outcome: done or refused
	ChangeCarrier      = "carrier.change" // Object: carrier and what was done to it
	ChangeWebhook      = "webhook.change" // Object: webhook and what was done to it: resume, test
	Console            = "console"        // Object: page or action of the console
)

// maxText bounds each text of an event, in octets.
const maxText = 256

// line is an event as it is written. The order of the fields is that of the keys.
type line struct {
	Seq          uint64 `json:"seq"`
	Time         string `json:"time"`
	Action       string `json:"action"`
	Organisation string `json:"organisation,omitempty"`
	Token        string `json:"token,omitempty"`
	Certificate  string `json:"certificate,omitempty"`
	User         string `json:"user,omitempty"`
	Peer         string `json:"peer,omitempty"`
	Object       string `json:"object,omitempty"`
	Outcome      string `json:"outcome,omitempty"`
	Reason       string `json:"reason,omitempty"`
	Trace        string `json:"trace,omitempty"`
	Count        int    `json:"count,omitempty"`
	Lost         uint64 `json:"lost,omitempty"` // events before this one that were left out
	Prev         string `json:"prev"`
}

// timeForm has all digits, so that texts sort like times.
const timeForm = "2006-01-02T15:04:05.000000Z"

// link is the end of a chain: what the next line continues.
type link struct {
	seq  uint64
	hash [sha256.Size]byte
}

// next returns the line of an event, with its line end, and the link that it makes.
func (l link) next(e Event, lost uint64) ([]byte, link) {
	text, err := json.Marshal(line{Seq: l.seq + 1, Time: e.At.UTC().Format(timeForm), Action: e.Action, Organisation: e.Organisation,
		Token: e.Token, Certificate: e.Certificate, User: e.User, Peer: e.Peer, Object: e.Object, Outcome: e.Outcome, Reason: e.Reason, Trace: e.Trace,
		Count: e.Count, Lost: lost, Prev: hex.EncodeToString(l.hash[:])})
	if err != nil {
		panic(err) // strings and numbers can always be written
	}
	return append(text, '\n'), link{l.seq + 1, sha256.Sum256(text)}
}

// bounded returns the event with texts of at most maxText octets, in UTF-8.
func (e Event) bounded() Event {
	for _, s := range []*string{&e.Action, &e.Organisation, &e.Token, &e.Certificate, &e.User, &e.Peer, &e.Object, &e.Outcome, &e.Reason, &e.Trace} {
		if len(*s) > maxText {
			*s = (*s)[:maxText]
		}
		*s = strings.ToValidUTF8(*s, "?")
	}
	return e
}
