package config

import (
	"fmt"
	"time"

	"straks/internal/faults"
	"straks/orders"
	"straks/orders/postgres"
	"straks/orders/sealed"
)

// Journal is where orders, receipts and the feed are kept.
type Journal struct {
	Engine string // "bolt", a file of this machine, or "postgres", a database that several nodes share: "bolt"

	Path      string        // of bolt's file; "straks init" creates it. Required
	Retention time.Duration // of orders, idempotency keys and feed entries: 90d
	MaxSize   Size          // in use in bolt's file; above it orders get 503, and receipts are still stored. 0: as large as the disk: 0
	MaxQueue  int           // orders that wait for the disk, and four times as many receipts; above it orders get 503 at once: 1024
	// StallAfter is how long a write to bolt's file may take. From then on orders get 503 at once, until a write was faster: 1s.
	// An order waits for two such writes, and for two seconds at the least.
	StallAfter time.Duration

	// Postgres says how the database is reached, as libpq does: "host=10.0.0.5,10.0.0.6 dbname=straks user=straks
	// target_session_attrs=read-write". Required with that engine.
	Postgres     string
	PasswordFile string // of the database's user: a path, or the name of a credential. Default none

	// KeyFile holds the key that encrypts recipients in the journal: a path, or the name of a credential. "straks journal
	// key" makes one. Once it was used, the journal needs it. Default none: recipients are stored in the clear.
	KeyFile string
	// FormerKeyFile holds the key that was used before, until the log says that it is not needed any more. With several nodes, it
	// holds the next key before that is key_file anywhere. Default none.
	FormerKeyFile string

	// HA has the node be ready only while "straks doctor" finds nothing wrong with the database: that commits wait for a
	// standby, that servers sync, and so on. Default true.
	HA bool

	keys sealed.Keys
}

// Password reads the password of the database's user. A command may have loaded the configuration without secrets.
func (j *Journal) Password() (string, error) {
	if j.PasswordFile == "" {
		return "", nil
	}
	password, err := ReadSecret(j.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("journal.password_file %w", err)
	}
	return password, nil
}

// Shared reports whether several nodes share the journal.
func (j *Journal) Shared() bool { return j.Engine == "postgres" }

func (j *Journal) setDefaults() {
	*j = Journal{Engine: "bolt", Retention: orders.DefaultRetention, MaxQueue: orders.DefaultQueue, StallAfter: orders.DefaultStallAfter, HA: true}
}

// reserved keeps secrets out of the file, and names the key that each organisation has had of its own since feeds
// show final statuses by default.
func (j *Journal) reserved() map[string]string {
	return map[string]string{"password": passwordReserved["password"],
		"key":             "does not belong here: put it in a file of its own and name that file as key_file",
		"feed_final_only": `has gone: leave it out where it is true; else set feed = "all" in each [[organisation]]`,
	}
}

// leastRetention is more than the 48 hours that an e-mail may stay unsettled, and the day for which a retry keeps its ids.
const leastRetention = 3 * day

func (j *Journal) check(c *checker) {
	c.OneOf("engine", j.Engine, "bolt", "postgres")
	if j.Shared() {
		j.checkShared(c)
	} else {
		c.Required("path", j.Path)
		c.Unless(j.Postgres == "", "postgres", "is given, but engine = %q: the journal is the file of path", j.Engine)
		c.Unless(j.PasswordFile == "", "password_file", "is given, but engine = %q: a file has no password", j.Engine)
		c.Unless(j.HA, "ha", "is given, but engine = %q: a file has no standby", j.Engine)
	}
	c.Duration("retention", j.Retention, leastRetention, 3650*day)
	c.Duration("stall_after", j.StallAfter, 100*time.Millisecond, time.Minute)
	c.Unless(j.MaxSize == 0 || j.MaxSize >= 16<<20, "max_size", "is %v, must be at least 16MiB, or 0 for no bound", j.MaxSize)
	faults.Range(c.List, "max_queue", j.MaxQueue, 1, 1_000_000)
	j.checkKeys(c)
}

// checkShared checks the keys of a journal in a database.
func (j *Journal) checkShared(c *checker) {
	c.Unless(j.Path == "", "path", `is given, but engine = "postgres": the journal is in the database`)
	c.Unless(j.MaxSize == 0, "max_size", `is given, but engine = "postgres": the database's disk bounds it`)
	c.Unless(j.StallAfter == orders.DefaultStallAfter, "stall_after", `is given, but engine = "postgres": a node that can't commit loses its lease`)
	if c.Required("postgres", j.Postgres) {
		if err := postgres.CheckDSN(j.Postgres); err != nil {
			c.Add("postgres", "%v", err)
		}
	}
	_ = c.secret("password_file", j.PasswordFile) // it is read again where it is needed
}
