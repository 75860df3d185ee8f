package bolt

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/internal/eventually"
	"straks/orders"
)

var kills = flag.Int("kills", 5, "how often TestKill kills its child")

// crashEnv names the journal that a child of TestKill works on.
const crashEnv = "STRAKS_TEST_CRASH_JOURNAL"

// TestKill has a child process place orders, kills it with SIGKILL at a random
// moment, and holds the journal that it leaves against what it was told.
func TestKill(t *testing.T) {
	t.Parallel()
	j, path := newJournal(t, Options{})
	j.Close()
	told := make(map[uuid.UUID]orders.Status)
	for range *kills {
		for id, status := range runAndKill(t, path) {
			told[id] = status
		}
		j := mustOpen(t, path, Options{})
		check(t, j)
		for id, status := range told {
			s, err := j.Shipment(context.Background(), "ttd", id)
			if err != nil || s.Status < status {
				t.Fatalf("told that %s is %v, the journal says %v, %v", id, status, s.Status, err)
			}
			in := acceptRequest(id.String())
			if again, claimed, err := j.Accept(context.Background(), in); err != nil || claimed || again.ID != id {
				t.Fatalf("the key of %s was forgotten: claimed %v, %v", id, claimed, err)
			}
		}
		j.Close()
	}
	t.Logf("%d kills, %d shipments", *kills, len(told))
}

// runAndKill returns what the child said that the journal had told it.
func runAndKill(t *testing.T, path string) map[uuid.UUID]orders.Status {
	child := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
	child.Env = append(os.Environ(), crashEnv+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	told := make(map[uuid.UUID]orders.Status)
	lines := bufio.NewReader(out)
	deadline := 100 + rand.IntN(1500) // lines
	for n := 0; ; n++ {
		if n == deadline {
			child.Process.Kill()
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			break // the last line may be cut
		}
		id, status, _ := strings.Cut(strings.TrimSpace(line), " ")
		var number orders.Status
		if _, err := fmt.Sscan(status, &number); err != nil {
			t.Errorf("the child said %q", line)
			child.Process.Kill()
			break
		}
		told[uuid.MustParse(id)] = number
	}
	child.Wait()
	return told
}

// TestCrashChild is not a test but the child of TestKill.
func TestCrashChild(t *testing.T) {
	path := os.Getenv(crashEnv)
	if path == "" {
		t.Skip("the child of TestKill")
	}
	j, err := Open(path, Options{StallAfter: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				placeAndTell(t, j)
			}
		})
	}
	wg.Wait()
}

func placeAndTell(t *testing.T, j *Journal) {
	id := uuid.Must(uuid.NewV7())
	in := acceptRequest(id.String())
	in.Shipment = id
	s := place(t, j, in)
	tell(s)
	answer, report := accepted(s, id.String()), delivered(id.String())
	events := []orders.Event{answer, report}
	if id[15]%2 == 0 {
		events = []orders.Event{report, answer}
	}
	for _, e := range events {
		eventually.True(t, "stored", func() bool {
			effects, err := j.Apply(context.Background(), []orders.Event{e})
			if err == nil && effects[0].Found {
				tell(effects[0].Shipment)
			}
			return err == nil
		})
	}
	if id[14]%64 == 0 {
		j.Sweep(context.Background(), time.Now(), orders.Retention{All: 90 * 24 * time.Hour}, 100)
	}
}

func tell(s orders.Shipment) { fmt.Printf("%s %d\n", s.ID, s.Status) }
