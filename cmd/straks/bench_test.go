package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"straks/cmd/straks/bench"
)

// The benchmark itself works: what it counts is what happened. How fast, it
// says elsewhere.
func TestBench(t *testing.T) {
	t.Setenv(asProgram, "1") // for the daemon that it starts
	var out, log bytes.Buffer
	args := []string{"bench", "-clients", "4", "-rate", "100", "-for", "500ms", "-stored", "300", "-json"}
	if code := run(t.Context(), args, nil, &out, &log); code != 0 {
		t.Fatalf("exit %d: %s", code, log.String())
	}
	var results []bench.Result
	if err := json.Unmarshal(out.Bytes(), &results); err != nil || len(results) != 1 {
		t.Fatalf("%v in %s", err, out.String())
	}
	r := results[0]
	if r.Orders != 50 || r.Delivered != 50 || r.Refused+r.Repeated+r.Unseen != 0 {
		t.Errorf("%d orders, %d delivered, %d not taken, %d sent twice, %d never seen; want 50 delivered",
			r.Orders, r.Delivered, r.Refused, r.Repeated, r.Unseen)
	}
	for what, p := range map[string]bench.Percentiles{"submit": r.Submit, "answer": r.Answer, "receipt": r.Receipt, "page": r.Page} {
		if p.P50 <= 0 || p.P99 < p.P50 {
			t.Errorf("%s took %v", what, p)
		}
	}
	if r.Stored != 300 || r.RestKiB == 0 || r.PeakKiB < r.RestKiB || r.Batch < 1 || r.Commit <= 0 {
		t.Errorf("%+v", r)
	}
}

func TestBenchMisused(t *testing.T) {
	for _, args := range [][]string{{"-clients", "2", "-rate", "-1"}, {"-clients", "2", "-rate", "NaN"}, {"-clients", "-2"}, {"-clients", "2", "-delay", "-1s"},
		{"-stored", "-1"}, {"-for", "0s"}, {"-for", "-1s", "-overload"}, {"-profile", "cpu.out"}, {"-rate", "50"}, {"-delay", "50ms"}, {"-freezable", "/x"}} {
		var out, log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // what is let through is not measured
		if code := run(ctx, append([]string{"bench"}, args...), nil, &out, &log); code != exitUsage || !strings.Contains(log.String(), "bench: -") {
			t.Errorf("%q: exit code %d: %s", args, code, log.String())
		}
	}
}
