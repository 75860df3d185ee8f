package codes_test

import (
	"encoding/json"
	"testing"
	"time"

	"straks/codes"
)

// TestNewerMembers: what a newer program has added to a record of a verification or an address is there still after this
// one has changed both.
func TestNewerMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st := w.start(request("1"))
	each := func(what func(tx codes.Tx, table codes.Table, key []byte, record map[string]any) error) {
		t.Helper()
		err := w.journal.UpdateCodes(t.Context(), func(tx codes.Tx) error {
			for _, table := range []codes.Table{codes.Verifications, codes.Addresses} {
				keys, _, err := tx.Due(table, w.clock().AddDate(1, 0, 0), 10)
				if err != nil || len(keys) != 1 {
					t.Fatalf("table %c: %d records, %v", table, len(keys), err)
				}
				b, err := tx.Get(table, keys[0])
				if err != nil {
					return err
				}
				var record map[string]any
				if err := json.Unmarshal(b, &record); err != nil {
					return err
				}
				if err := what(tx, table, keys[0], record); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	each(func(tx codes.Tx, table codes.Table, key []byte, record map[string]any) error {
		record["newer"] = map[string]any{"x": []int{1, 2}}
		b, err := json.Marshal(record)
		if err != nil {
			return err
		}
		return tx.Put(table, key, b, w.clock().Add(time.Minute))
	})
	kept := func(what string) {
		t.Helper()
		each(func(_ codes.Tx, table codes.Table, _ []byte, record map[string]any) error {
			if b, err := json.Marshal(record["newer"]); err != nil || string(b) != `{"x":[1,2]}` {
				t.Errorf("%s: table %c has %s", what, table, b)
			}
			return nil
		})
	}
	c := code(t, w.sms)
	w.check(st.ID, wrong(c), codes.Pending, 4)
	kept("a wrong code")
	w.pass(31 * time.Second)
	if _, err := w.Resend(t.Context(), "ttd", st.ID, 0); err != nil {
		t.Fatal(err)
	}
	kept("sent again")
	w.restart()
	w.check(st.ID, code(t, w.sms), codes.Approved, 3)
	kept("approved")
}
