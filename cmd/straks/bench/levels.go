package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// levels are what the daemon's metrics say at one moment.
type levels struct {
	delivered             float64 // shipments that are final by their receipt
	batches, calls, spent float64 // commits, the calls in them, and their seconds
}

func (d *Daemon) levels() (l levels) {
	l.delivered, _ = d.Counter("straks_status_changes_total", `status="SMS_Delivered"`)
	l.batches, _ = d.Counter("straks_journal_batch_size_count")
	l.calls, _ = d.Counter("straks_journal_batch_size_sum")
	l.spent, _ = d.Counter("straks_journal_commit_seconds_sum")
	return l
}

// commits returns how many calls shared a commit since before, and its mean time.
func (l levels) commits(before levels) (calls float64, mean time.Duration) {
	n := l.batches - before.batches
	if n <= 0 {
		return 0, 0
	}
	return (l.calls - before.calls) / n, time.Duration((l.spent - before.spent) / n * float64(time.Second))
}

// Counter returns the sum of a metric's series whose line contains all of the labels.
func (d *Daemon) Counter(name string, labels ...string) (float64, error) {
	resp, err := http.Get("http://" + d.Admin + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	sum, lines := 0.0, bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if value, ok := sample(lines.Text(), name, labels); ok {
			sum += value
		}
	}
	return sum, lines.Err()
}

func sample(line, name string, labels []string) (float64, bool) {
	rest, ok := strings.CutPrefix(line, name)
	if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
		return 0, false
	}
	for _, l := range labels {
		if !strings.Contains(rest, l) {
			return 0, false
		}
	}
	value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
	return value, err == nil
}

// feedPage reads the last 500 entries of the feed a hundred times.
func (d *Daemon) feedPage() (Percentiles, error) {
	var last []struct {
		SequenceNumber uint64 `json:"sequenceNumber"`
	}
	body, err := d.feed("orderBy=desc&pageSize=1")
	if err != nil {
		return Percentiles{}, err
	}
	if err := json.Unmarshal(body, &last); err != nil || len(last) == 0 {
		return Percentiles{}, err
	}
	query := fmt.Sprintf("pageSize=500&seq=%d", last[0].SequenceNumber-min(last[0].SequenceNumber, 500))
	var took []time.Duration
	for range 100 {
		began := time.Now()
		if _, err := d.feed(query); err != nil {
			return Percentiles{}, err
		}
		took = append(took, time.Since(began))
	}
	return percentiles(took), nil
}

func (d *Daemon) feed(query string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodGet, "http://"+d.API+"/notifications/api/v1/future/shipment/feed?"+query, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("feed: %s", resp.Status)
	}
	return io.ReadAll(resp.Body)
}
