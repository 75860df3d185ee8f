package daemon_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/peertest"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

// flooder is an SMSC that sends receipts for messages of nobody, as fast as they are answered.
type flooder struct {
	listener       net.Listener
	start          chan struct{} // closed when the flood begins
	stored, denied atomic.Int64
}

func newFlooder(t *testing.T) *flooder {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &flooder{listener: l, start: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { f.serve(t, conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return f
}

// flying is how many of the flood's receipts may be unanswered.
const flying = 900

func (f *flooder) serve(t *testing.T, conn net.Conn) {
	defer conn.Close()
	p := peertest.New(t, conn)
	tokens := make(chan struct{}, flying)
	var wg sync.WaitGroup
	defer wg.Wait()
	over, end := context.WithCancel(context.Background())
	defer end()
	for {
		frame, err := p.Frames.Next()
		if err != nil {
			return
		}
		switch frame.ID {
		case wire.BindTransceiver:
			p.Tell(wire.BindTransceiverResp, wire.ESMEOK, frame.Sequence, &wire.BindResp{SystemID: "flood"})
			wg.Go(func() { f.flood(over, conn, tokens) })
		case wire.EnquireLink:
			p.Tell(wire.EnquireLinkResp, wire.ESMEOK, frame.Sequence, nil)
		case wire.Unbind:
			p.Tell(wire.UnbindResp, wire.ESMEOK, frame.Sequence, nil)
			return
		case wire.DeliverSMResp:
			<-tokens
			if frame.Status == wire.ESMEOK {
				f.stored.Add(1)
			} else {
				f.denied.Add(1)
			}
		}
	}
}

func (f *flooder) flood(ctx context.Context, conn io.Writer, tokens chan struct{}) {
	select {
	case <-f.start:
	case <-ctx.Done():
	}
	for n := uint32(1); ; n++ {
		select {
		case tokens <- struct{}{}:
		case <-ctx.Done():
			return
		}
		m := &wire.Message{ESMClass: 4, Source: "4790000000", Dest: "straks",
			ShortMessage: fmt.Appendf(nil, "id:nobody-%d sub:001 dlvrd:001 submit date:2602031405 done date:2602031405 stat:DELIVRD err:000 text:", n)}
		b, err := wire.Append(nil, wire.Header{ID: wire.DeliverSM, Sequence: n}, m)
		if err == nil {
			_, err = conn.Write(b)
		}
		if err != nil {
			return
		}
	}
}

// A flood of receipts that match nothing, from one SMSC, costs another one nothing: receipts that
// overtake their answers by a second are kept, and orders wait little longer.
func TestFloodOfUnknownReceipts(t *testing.T) {
	flood := newFlooder(t)
	var profile smsctest.Profile
	profile.On("08", func(b *smsctest.Behaviour) { b.Delay, b.Receipt.Early = time.Second, true })
	w := daemontest.New(t, profile, fmt.Sprintf(`
[[smsc]]
name = "flood"
addr = %q
system_id = "straks"
[[route]]
smscs = ["telco"]
`, flood.listener.Addr()))
	quiet := medianOrder(t, w, "quiet")
	close(flood.start)
	eventually.True(t, "the flood to fill the queues", func() bool { return flood.stored.Load() > 5000 })
	early := make(chan string, 20)
	var wg sync.WaitGroup
	for i := range cap(early) {
		wg.Go(func() { early <- w.Send(fmt.Sprint("early", i), fmt.Sprintf("+47999%03d08", i)).ShipmentID })
	}
	loud := medianOrder(t, w, "loud")
	wg.Wait()
	close(early)
	for id := range early {
		w.Await(id, "SMS_Delivered")
	}
	t.Logf("median of an order %v, beside the flood %v; %d unknown receipts stored, %d to be sent again",
		quiet, loud, flood.stored.Load(), flood.denied.Load())
	if loud > max(25*quiet, 3*time.Second) { // a machine may be slow for a while, and the flood takes processor time too
		t.Errorf("an order takes %v beside the flood, %v without", loud, quiet)
	}
	if _, metrics := w.Admin("/metrics"); !strings.Contains(metrics, `straks_journal_parked_reports{smsc="flood"}`) ||
		!strings.Contains(metrics, `straks_receipts_dropped_total{smsc="telco"} 0`) {
		t.Error("the parked receipts are not counted by SMSC")
	}
	w.Stop()
	daemontest.CheckJournal(t, w.JournalFile())
}

// medianOrder returns the median time of an order, one after the other, all of which are delivered.
func medianOrder(t *testing.T, w *daemontest.World, name string) time.Duration {
	t.Helper()
	var took []time.Duration
	var ids []string
	for i := range 100 {
		began := time.Now()
		ids = append(ids, w.Send(fmt.Sprint(name, i), "+4799999999").ShipmentID)
		took = append(took, time.Since(began))
	}
	for _, id := range ids {
		w.Await(id, "SMS_Delivered")
	}
	slices.Sort(took)
	return took[len(took)/2]
}
