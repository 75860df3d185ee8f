package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestSample(t *testing.T) {
	const line = `straks_status_changes_total{status="SMS_Delivered"} 42`
	if v, ok := sample(line, "straks_status_changes_total", []string{`status="SMS_Delivered"`}); !ok || v != 42 {
		t.Error(v, ok)
	}
	for _, other := range []string{"straks_status_changes", "straks_status_changes_total_sum"} {
		if _, ok := sample(line, other, nil); ok {
			t.Errorf("%s is taken for %s", other, line)
		}
	}
}

// The end of a daemon's log is kept, however the log is cut into writes.
func TestLogTail(t *testing.T) {
	var w logTail
	var all strings.Builder
	for n := range 3000 {
		fmt.Fprintln(io.MultiWriter(&w, &all), n)
	}
	want := all.String()[all.Len()-maxLogTail:]
	if got := w.String(); got != want {
		t.Errorf("kept %d octets, beginning %.20q; want %.20q", len(got), got, want)
	}
	var again logTail
	io.WriteString(&again, all.String())
	if again.String() != want {
		t.Error("in one write: kept something else")
	}
}
