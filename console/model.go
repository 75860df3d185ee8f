package console

import "time"

// Now is the state of the whole.
type Now struct {
	At       time.Time
	Started  time.Time // of the daemon: counts are of no time before
	Version  string
	Ready    bool
	Reason   string   // why it is not ready
	Sends    []string // channels that can send, while not all can
	InFlight int      // orders
	Carriers []CarrierNow
	Minutes  Traffic // of the last 5 minutes
	Hour     Traffic
	Journal  Journal
	Ends     []End // certificates and tokens that end, the nearest first
	Warnings []Warning
}

// Traffic is what happened in a span of time.
type Traffic struct {
	Step     time.Duration // of the lists
	Outcomes []Count       // of orders
	Rate     []float64     // orders in each step, the oldest first
	Failed   []float64     // of these, those that no carrier took
	Waits    []float64     // response time in each step that half of the answers were under, in ms
	Median   time.Duration // from an order to the carrier's answer
	Slow     time.Duration // that only one of a hundred exceeds
}

// Count is how often something happened.
type Count struct {
	Name  string
	Count int
}

// CarrierState is the state of a carrier as a whole.
type CarrierState string

const (
	Up       CarrierState = "up"
	Partly   CarrierState = "partly" // some of its connections are up
	Down     CarrierState = "down"
	Refused  CarrierState = "refused" // it refuses our credentials
	Silent   CarrierState = "silent"  // it is connected, and does not answer
	Paused   CarrierState = "paused"  // by an operator
	Draining CarrierState = "draining"
	Drained  CarrierState = "drained"

	Elsewhere CarrierState = "elsewhere" // other nodes have all of its binds
)

// well reports whether messages go over the carrier.
func (s CarrierState) well() bool { return s == Up || s == Partly }

// CarrierNow is a carrier in a few words.
type CarrierNow struct {
	Name        string
	Channel     string // "SMS" or "Email"
	State       CarrierState
	Since       time.Time
	Reason      string // in the carrier's package's words; empty while it is well
	LastSuccess time.Time
	LastReceipt time.Time
	NextAttempt time.Time
	InFlight    int
	Window      int
	Minutes     Traffic
	Hour        Traffic
}

// Journal is the state of the store: of a file, or of a database that nodes share.
type Journal struct {
	Shared *Shared // nil: it is a file. Else the fields below mean nothing

	Size       int64     // octets in use
	File       int64     // octets of the file
	Growth     int64     // octets a day; 0 while it is not known
	Free       int64     // octets left on the disk; negative: not known
	DaysLeft   int       // until the disk is full; negative: not known
	LastBackup time.Time // since the start of the daemon
}

// Shared is what this node knows of the database and of the other nodes.
type Shared struct {
	Node   int           // this one
	Live   []int         // nodes that are alive, this one included; empty while it has no lease
	Keeper bool          // this one keeps deadlines and retention
	Lease  time.Duration // for how long it may still submit without renewing its lease
	Offset time.Duration // by how much the database's clock is ahead
	Parked int           // receipts that wait for their answers
}

// End is when something stops to be valid.
type End struct {
	Kind string // "certificate" or "token"
	Name string
	At   time.Time
}

// Warning is a line of the daemon's log.
type Warning struct {
	At    time.Time
	Error bool
	Text  string
}

// Found is the answer to a search.
type Found struct {
	Kind     string // "recipient", "shipment", "idempotencyId" or "reference"
	Messages []Message
	More     bool
}

// Message is one message and its way. Its text is stored nowhere.
type Message struct {
	ID           string
	Organisation string
	Reference    string
	Recipient    string
	Channel      string
	Status       string
	Delivered    bool
	Final        bool
	Free         bool // no carrier has it, and its order may be repeated
	Answered     bool
	Accepted     time.Time
	Updated      time.Time
	Deadline     time.Time
	Carrier      string
	Detail       string
	MessageIDs   []string
	Steps        []Step
	Others       []Message // to the same recipient about that time; of Message only
}

// Step is one step of a message's way.
type Step struct {
	Kind       string
	At         time.Time
	After      time.Duration
	Carrier    string
	Bind       string
	Encoding   string
	Parts      int
	MessageIDs []string
	Status     string
	Detail     string
}

// Carrier is a carrier in all its details.
type Carrier struct {
	CarrierNow
	Connections []Connection
	Answers     []Code // since the daemon's start
	Receipts    []Code // likewise
	Routes      bool   // route can be asked
}

// Connection is one bind, or all connections to a relay.
type Connection struct {
	Name         string
	Mode         string
	Address      string
	State        string
	Since        time.Time
	Next         time.Time
	Reason       string
	InFlight     int
	Window       int
	Rate         float64
	ResponseTime time.Duration
	Connects     uint64
}

// Code is a code of a carrier, with what we make of it.
type Code struct {
	Code    string
	Reading string
	Count   uint64
}

// RouteQuestion is the form of route.
type RouteQuestion struct {
	Number       string
	Organisation string
	Sender       string
}

// RouteAnswer is the way that an SMS would take.
type RouteAnswer struct {
	Route  string
	Faults []string
	SMSCs  []RouteSMSC
}

// RouteSMSC is one SMSC of a route.
type RouteSMSC struct {
	Name     string
	Sender   string
	Encoding string
	Parts    int
	Faults   []string
}

// BlockQuery asks for entries of block lists.
type BlockQuery struct {
	Organisation string // empty: all
	Recipient    string // empty: all
	After        string // BlockPage.Next of the page before
}

// BlockPage is a page of entries.
type BlockPage struct {
	Blocks []Block
	Next   string
}

// Block is one entry.
type Block struct {
	Organisation string
	Channel      string
	Recipient    string
	Blocked      bool
	At           time.Time
	Source       string // "phone", "operator", "bounce" or "complaint"
	Word         string // that the phone sent; the code of the bounce
	Reason       string // the operator's; the shipment of the bounce or complaint
	By           string
	Until        time.Time // when it ends by itself; zero: it does not
}

// Organisation is a client.
type Organisation struct {
	Name     string
	Rate     float64 // orders a second; 0: no limit
	Burst    int
	Spent    string // this month, "3800.00 NOK"; empty: nothing has a price
	Budget   string // of a month; empty: none
	Used     string // "84 %" of the budget
	Pumping  string // prefixes and countries that are suspected of pumping
	Tokens   []Token
	Outcomes []Count // of orders, in 24 hours
	Results  []Count // what became of messages: "delivered", "failed", "unknown"; likewise
}

// Token is one of an organisation's tokens.
type Token struct {
	Name    string
	Scopes  []string
	Expires time.Time // zero: never
	Used    time.Time // last; zero: not since the start
}
