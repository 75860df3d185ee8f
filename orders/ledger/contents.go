package ledger

import (
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// Table is a part of a journal's contents, for another engine that takes them over.
type Table string

// The tables, in the order in which an engine takes them over: it finds the key of a shipment by the keys.
const (
	TableKeys      Table = "keys"
	TableShipments Table = "shipments"
	TableParked    Table = "parked reports"
	TableRefs      Table = "references"
	TableBlocks    Table = "blocks"
	TableFeed      Table = "feed entries"
	TableHeads     Table = "feeds"
	TableCursors   Table = "cursors"
	TableCodes     Table = "verifications"
	TableCodeFeed  Table = "verification feed entries"
	TableCodeHeads Table = "verification feeds"
)

// AllTables returns the tables in that order.
func AllTables() []Table {
	return []Table{TableKeys, TableShipments, TableParked, TableRefs, TableBlocks, TableFeed, TableHeads, TableCursors, TableCodes, TableCodeFeed, TableCodeHeads}
}

// Record is one of the records below, of the table that has its name.
type Record interface{ record() }

// ShipmentRecord is a shipment.
type ShipmentRecord struct{ orders.Shipment }

// KeyRecord is the hash of an idempotency key: the first 16 octets of the SHA-256 of organisation and key, each
// after its length as a varint.
type KeyRecord struct {
	Hash     []byte
	Shipment uuid.UUID
}

// ParkedRecord is a report that waits for its answer. RefRecords of its carrier have its ID.
type ParkedRecord struct {
	ID     ParkedID
	Report orders.Report
}

// RefRecord is what is known of a reference.
type RefRecord struct {
	Name Name
	Ref  Ref
	At   time.Time // at the latest; for its retention
}

// BlockRecord is an entry of a block list. Hash is made as KeyRecord's of organisation, channel and recipient.
type BlockRecord struct {
	Hash  []byte
	Block orders.Block
}

// FeedRecord is an entry of an organisation's feed.
type FeedRecord struct {
	Organisation string
	Seq          uint64
	Shipment     uuid.UUID
	Status       orders.Status
	At           time.Time
}

// HeadRecord is the newest number that an organisation's feed has given out.
type HeadRecord struct {
	Organisation string
	Seq          uint64
}

// CursorRecord is how far a subscription has read.
type CursorRecord struct{ orders.Cursor }

// CodeRecord is a record of package codes.
type CodeRecord struct {
	Kind        byte // codes.Table
	Key, Record []byte
	Due         time.Time
}

// CodeFeedRecord is an entry of the feed of an organisation's verifications.
type CodeFeedRecord struct {
	Organisation string
	Seq          uint64
	At           time.Time
	Entry        []byte
}

// CodeHeadRecord is the newest number of such a feed.
type CodeHeadRecord HeadRecord

func (CodeRecord) record()     {}
func (CodeFeedRecord) record() {}
func (CodeHeadRecord) record() {}
func (ShipmentRecord) record() {}
func (KeyRecord) record()      {}
func (ParkedRecord) record()   {}
func (RefRecord) record()      {}
func (BlockRecord) record()    {}
func (FeedRecord) record()     {}
func (HeadRecord) record()     {}
func (CursorRecord) record()   {}
