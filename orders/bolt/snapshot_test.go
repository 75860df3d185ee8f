package bolt

import "testing"

// TestReadersEndNothing: the last reader of what is no longer the newest leaves it to the
// writer to end, who does so before it writes again. On a frozen disk the reader would hang
// with the meta page that is being written.
func TestReadersEndNothing(t *testing.T) {
	j, _ := newJournal(t, Options{})
	read := func(between func()) *snapshot {
		t.Helper()
		sn, err := j.snapshots.acquire()
		if err != nil {
			t.Fatal(err)
		}
		between()
		j.snapshots.release(sn)
		return sn
	}
	if sn := read(func() {}); sn.tx.DB() == nil {
		t.Error("the newest was ended")
	}
	sn := read(func() { order(t, j, "a") })
	if sn.tx.DB() == nil {
		t.Error("ended by its reader")
	}
	order(t, j, "b")
	if sn.tx.DB() != nil {
		t.Error("not ended by the writer")
	}
	if n := j.writer.file.db.Stats().OpenTxN; n != 1 {
		t.Errorf("%d are open", n)
	}
	if sn := read(j.snapshots.withdraw); sn.tx.DB() != nil {
		t.Error("not ended, and the file must be closed")
	}
}
