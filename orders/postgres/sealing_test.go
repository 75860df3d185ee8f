package postgres

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/codes"
	"straks/internal/canary"
	"straks/internal/handover"
	"straks/internal/logtest"
	"straks/internal/pgcluster"
	"straks/orders"
	"straks/orders/journaltest"
	"straks/orders/ledger"
	"straks/orders/orderstest"
	"straks/orders/sealed"
)

// TestSealing runs what every engine that seals recipients must do.
func TestSealing(t *testing.T) {
	t.Parallel()
	var stores sync.Map // by folder
	e := sealable
	e.Open = func(t *testing.T, dir string, keys sealed.Keys) (orders.Journal, error) {
		made, _ := stores.LoadOrStore(dir, realTime(t))
		opt := made.(Options)
		opt.Keys = keys
		j, err := Open(t.Context(), opt)
		if err != nil {
			return nil, err
		}
		return j, nil
	}
	journaltest.RunSealed(t, e)
}

var sealable = journaltest.Sealable{
	Resealing: func(j orders.Journal) bool { return j.(*Journal).sealing.resealing() },
	Check:     func(j orders.Journal) error { return Check(context.Background(), j.(*Journal).opt, nothing) },
}

func keysOf(current sealed.Key, former ...sealed.Key) sealed.Keys {
	k := sealed.Keys{Current: &current}
	if len(former) > 0 {
		k.Former = &former[0]
	}
	return k
}

func withKeys(opt Options, n int, current sealed.Key, former ...sealed.Key) Options {
	opt.Node, opt.Keys = n, keysOf(current, former...)
	return opt
}

// TestNoRecipientInTheDatabase: of a journal that is sealed from the start, no file of the server, its WAL included, and no
// dump has a recipient, or a hash of one that anybody can make.
func TestNoRecipientInTheDatabase(t *testing.T) {
	t.Parallel()
	c, opt := ownServer(t, nil)
	opt = withKeys(opt, 1, sealed.NewKey())
	j := open(t, opt)
	if j.sealing.resealing() {
		t.Error("recipients in the clear are looked for")
	}
	h := journaltest.PutRecipients(t, j)
	verify(t, j)
	journaltest.WantRecipients(t, j, h)
	wantNoRecipient(t, c, opt)
	journaltest.MeetRecipients(t, j, h)
	if err := Check(t.Context(), opt, nothing); err != nil {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	wantNoRecipient(t, c, opt)
}

// TestFirstKeyBesideAWrite: a write that a node without a key has begun may come after the first key. What it stores is sealed
// then.
func TestFirstKeyBesideAWrite(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	conn, err := pgx.Connect(t.Context(), opt.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(conn)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "insert into straks.keys (hash, shipment) values ('x', $1)", [16]byte(uuid.New())); err != nil {
		t.Fatal(err)
	}
	opt.Keys = newKeys()
	j := open(t, opt)
	defer j.Close()
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !j.sealing.resealing() {
		t.Error("nothing is looked for that may be in the clear")
	}
	sealable.SealAll(t, j, 100)
}

// verify begins a verification of both recipients.
func verify(t *testing.T, j *Journal) {
	t.Helper()
	service := orders.NewService(orders.Config{Journal: j, SMS: &orderstest.Carrier{}, Email: &orderstest.Carrier{}, StallAfter: time.Minute, Log: quiet()})
	verifications := codes.New(codes.Config{Keys: codes.Keys{Active: codes.NewKey()}, Store: j, Orders: service, Language: "nb", Organisations: []string{"ttd"}, Log: quiet()})
	st, err := verifications.Start(t.Context(), &codes.Request{Organisation: "ttd", Key: "v", Template: codes.DefaultTemplate, Language: "nb", Alphabet: codes.Digits, Length: 6,
		TTL: 5 * time.Minute, Attempts: 5, ResendAfter: 30 * time.Second, FallbackAfter: time.Minute, To: []codes.Address{
			{Channel: orders.SMS, To: journaltest.SecretNumber}, {Channel: orders.Email, To: journaltest.SecretAddress}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifications.CheckCode(t.Context(), "ttd", st.ID, "x"); err != nil {
		t.Fatal(err)
	}
}

// canaries are octets that must not be found, in whatever letter case.
func canaries() map[string][]byte {
	all := map[string][]byte{"the number": []byte("8765432"), "the address": []byte("kari.kanari")}
	plain := func(what string, h hash) { all["a plain hash: "+what] = bytes.ToLower(h[:]) }
	for _, organisation := range []string{"ttd", "nav", "skd"} {
		for c, to := range map[orders.Channel]orders.Recipient{orders.SMS: journaltest.SecretNumber, orders.Email: orders.BlockForm(orders.Email, journaltest.SecretAddress)} {
			plain(organisation+" "+c.String(), plainBlock(organisation, c, to))
		}
	}
	plain("um:17", hashOf("ref", "telco", "um:4798765432:17"))
	plain("um:18", hashOf("ref", "telco", "um:4798765432:18"))
	return all
}

// found names the canaries in some octets.
func found(octets []byte) (all []string) {
	octets = bytes.ToLower(octets)
	for what, canary := range canaries() {
		if bytes.Contains(octets, canary) {
			all = append(all, what)
		}
	}
	return all
}

// wantNoRecipient: no table of the database has a canary, and no file of its server.
func wantNoRecipient(t *testing.T, c *pgcluster.Cluster, opt Options) {
	t.Helper()
	if all := found(dump(t, opt)); all != nil {
		t.Errorf("in a dump: %q", all)
	}
	all, err := canary.Server(t.Context(), c.Servers[0], found)
	for _, f := range all {
		t.Errorf("in %s: %q", f.Where, f.Words)
	}
	if err != nil {
		t.Error(err)
	}
}

// dump returns all tables, and the statistics of their values, as COPY writes them in binary.
func dump(t *testing.T, opt Options) []byte {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), opt.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(conn)
	rows, err := conn.Query(t.Context(), "select tablename::text from pg_tables where schemaname = 'straks' order by 1")
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) < 15 {
		t.Fatalf("%d tables, %v", len(names), err)
	}
	var text bytes.Buffer
	for i, name := range names {
		names[i] = pgx.Identifier{"straks", name}.Sanitize()
	}
	for _, name := range append(names, canary.Statistics) {
		if _, err := conn.PgConn().CopyTo(t.Context(), &text, "copy (select * from "+name+") to stdout (format binary)"); err != nil {
			t.Fatal(err)
		}
	}
	if text.Len() < 2000 {
		t.Errorf("the dump has %d octets", text.Len())
	}
	return text.Bytes()
}

// TestSealedLaterLeavesTheTables: after all was sealed that a journal had before it got its key, no table has a recipient, and
// neither have the statistics that the database made before.
func TestSealedLaterLeavesTheTables(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	j := open(t, opt)
	h := journaltest.PutRecipients(t, j)
	j.Close()
	if all := found(dump(t, opt)); len(all) < len(canaries())-3 { // not every organisation has blocked both
		t.Fatalf("of a journal without a key, the search finds only %q", all)
	}
	analyze(t, opt)
	opt.Keys = newKeys()
	j = open(t, opt)
	defer j.Close()
	sealable.SealAll(t, j, 1)
	journaltest.WantRecipients(t, j, h)
	if all := found(dump(t, opt)); all != nil {
		t.Errorf("in a dump: %q", all)
	}
}

// analyze has the database learn which values its columns have, as autovacuum does now and then.
func analyze(t *testing.T, opt Options) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), opt.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(conn)
	if _, err := conn.Exec(t.Context(), "analyze"); err != nil {
		t.Fatal(err)
	}
}

// TestRotationOfNodes: two nodes get a new key one after the other, while both store; none has a key then that the other lacks. The
// walk ends when both seal with the new key, and both see that.
func TestRotationOfNodes(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	a, b := sealed.NewKey(), sealed.NewKey()
	first, second := open(t, withKeys(opt, 1, a)), open(t, withKeys(opt, 2, a))
	t.Cleanup(func() { first.Close(); second.Close() })
	h := journaltest.PutRecipients(t, first)
	sealable.SealAll(t, first, 100)
	if err := second.refresh(t.Context()); err != nil || second.sealing.resealing() {
		t.Errorf("the other node does not see that all is sealed: %v", err)
	}
	refused := func(o Options, says ...string) {
		t.Helper()
		j, err := Open(t.Context(), o)
		if err == nil {
			j.Close()
			t.Fatal("it opens")
		}
		for _, s := range says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%v, want %q", err, s)
			}
		}
	}
	restart := func(j **Journal, o Options) {
		t.Helper()
		(*j).Close()
		*j = open(t, o)
		journaltest.WantRecipients(t, first, h)
		journaltest.WantRecipients(t, second, h)
	}
	refused(withKeys(opt, 3, b, a), "node 1", b.ID.String(), "former_key_file first")
	refused(withKeys(opt, 3, b), a.ID.String())
	for _, step := range [][2]sealed.Key{{a, b}, {b, a}} {
		restart(&first, withKeys(opt, 1, step[0], step[1]))
		if step[0].Equal(b) {
			if _, err := first.Sweep(t.Context(), time.Now(), orders.Retention{All: 90 * 24 * time.Hour}, 1000); err != nil || !first.sealing.resealing() {
				t.Errorf("all is sealed while another node has the former key: %v", err)
			}
		}
		restart(&second, withKeys(opt, 2, step[0], step[1]))
	}
	for step := 0; first.sealing.resealing(); step++ {
		stored := withinRotation(t, second, fmt.Sprint(step))
		if _, err := first.Sweep(t.Context(), time.Now(), orders.Retention{All: 90 * 24 * time.Hour}, 3); err != nil {
			t.Fatal(err)
		}
		if s, err := first.Shipment(t.Context(), "ttd", stored.ID); err != nil || s.Recipient != stored.Recipient {
			t.Errorf("what the other node stores: %v, %v", s.Recipient, err)
		}
		if step > 1000 {
			t.Fatal("not everything was sealed")
		}
	}
	if _, err := second.Sweep(t.Context(), time.Now(), orders.Retention{All: 90 * 24 * time.Hour}, 1); err != nil || second.sealing.resealing() {
		t.Errorf("the other node does not see that all is sealed: %v", err)
	}
	restart(&first, withKeys(opt, 1, b))
	restart(&second, withKeys(opt, 2, b))
	refused(withKeys(opt, 3, a, b), "former_key_file first")
	journaltest.MeetRecipients(t, first, h)
	if err := Check(t.Context(), withKeys(opt, 1, b), nothing); err != nil {
		t.Error(err)
	}
}

func withinRotation(t *testing.T, j *Journal, key string) orders.Shipment {
	t.Helper()
	s, _, err := j.Accept(t.Context(), order(key))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Apply(t.Context(), []orders.Event{orders.Answer{Shipment: s.ID, Claim: s.Claim, At: s.Accepted, Outcome: handover.Accepted, Carrier: "telco", Total: 1,
		Parts: []orders.PartAnswer{{Refs: []string{"um:4799999999:" + key}, Taken: true}}}}); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestKeysOfNodes: a node with a key does not run beside one without, and the other way round. A node that was restarted in the
// middle of a rotation, with the key of before, has all sealed again.
func TestKeysOfNodes(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	a, b := sealed.NewKey(), sealed.NewKey()
	plain := open(t, opt)
	if _, err := Open(t.Context(), withKeys(opt, 2, a)); err == nil || !strings.Contains(err.Error(), "node 1 runs without journal.key_file") {
		t.Errorf("beside a node without a key: %v", err)
	}
	plain.Close()
	j := open(t, withKeys(opt, 2, a, b))
	opt.Node = 1
	if _, err := Open(t.Context(), opt); err == nil || !strings.Contains(err.Error(), a.ID.String()) {
		t.Errorf("without a key beside a node with one: %v", err)
	}
	sealable.SealAll(t, j, 100)
	other := open(t, withKeys(opt, 1, b, a))
	if err := j.refresh(t.Context()); err != nil || !j.sealing.resealing() {
		t.Errorf("another node came with another key, and all counts as sealed: %v", err)
	}
	other.Close()
	sealable.SealAll(t, j, 100)
	j.Close()
}

// TestKeysOfADeadNode: a node that was declared dead does not go on beside nodes that lack its key.
func TestKeysOfADeadNode(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	a, b := sealed.NewKey(), sealed.NewKey()
	log := new(logtest.Log)
	old := withKeys(opt, 2, a, b)
	old.Log = slog.New(slog.NewTextHandler(log, nil))
	j := open(t, old)
	defer j.Close()
	conn, err := pgx.Connect(t.Context(), opt.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(conn)
	if err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "update straks.nodes set epoch = epoch + 1, expires = '-infinity' where id = 2"); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), `insert into straks.nodes (id, holder, epoch, expires, url, version, started, config, schema, keys)
			values (3, $1, 1, 'infinity', '', '', now(), '{}', $2, $3)`, [16]byte(uuid.New()), SchemaVersion(), [][]byte{b.ID[:]})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node does not say why it has no lease", func() bool {
		return strings.Contains(log.String(), "former_key_file first") && j.Allow() != nil
	})
}

// TestSealedRows: a sealed recipient belongs to its row, and a record that says otherwise is corrupt.
func TestSealedRows(t *testing.T) {
	t.Parallel()
	box, _, err := sealed.Attach(newKeys(), uuid.New(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := orders.Claim(order("a"))
	s.Parts = []orders.Part{{Refs: []string{"um:4798765432:1", "id:4798765432", "\x00odd"}}}
	s.Carrier = "telco"
	record := encodeShipment(box, &s, nil)
	for _, secret := range []string{string(s.Recipient), "um:4798765432", "\x00odd"} {
		if bytes.Contains(record, []byte(secret)) {
			t.Errorf("%q is in the record", secret)
		}
	}
	back, err := decodeShipment(box, s.ID, record)
	if err != nil || back.Recipient != s.Recipient || fmt.Sprint(back.Parts) != fmt.Sprint(s.Parts) {
		t.Errorf("%+v, %v", back, err)
	}
	if _, err := decodeShipment(box, uuid.New(), record); err == nil || !strings.Contains(err.Error(), ledger.ErrCorrupt.Error()) {
		t.Errorf("as another shipment: %v", err)
	}
	if back, err = decodeShipment(nil, s.ID, record); err != nil || back.Recipient != "" || back.SendersReference != s.SendersReference {
		t.Errorf("without a key: %+v, %v", back, err)
	}
	r := orders.Report{Carrier: "telco", Recipient: "\x00+4798765432", Refs: []string{"x"}}
	for _, b := range []*sealed.Box{nil, box} {
		if got, err := decodeReport(b, s.ID, encodeReport(b, s.ID, &r, nil)); err != nil || got.Recipient != r.Recipient {
			t.Errorf("%q, %v", string(got.Recipient), err)
		}
	}
}
