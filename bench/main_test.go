package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"straks/internal/pgcluster"
)

// asProgram makes this test binary the program itself, for its load generators.
const asProgram = "BENCH_TEST_AS_PROGRAM"

// binaries is the folder of the straks that all tests share.
var binaries = ""

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Setenv(asProgram, "1")
	var err error
	if binaries, err = os.MkdirTemp("", "straks-bench-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(binaries)
	os.Exit(code)
}

var buildOnce = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "straks")
	return path, build(context.Background(), path)
})

// built returns cmd/straks of this module.
func built(t *testing.T) string {
	t.Helper()
	path, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// bench runs the program and decodes the results.
func bench(t *testing.T, args ...string) (results []result) {
	t.Helper()
	var out, log bytes.Buffer
	if code := run(t.Context(), append(args, "-json"), nil, &out, &log); code != 0 {
		t.Fatalf("exit %d: %s", code, log.String())
	}
	if err := json.Unmarshal(out.Bytes(), &results); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	return results
}

// The benchmark counts what happened. How fast that was is not asserted here.
func TestBench(t *testing.T) {
	dir := t.TempDir()
	results := bench(t, "-straks", built(t), "-clients", "4", "-rate", "100", "-for", "500ms", "-stored", "300", "-dir", dir)
	if len(results) != 1 {
		t.Fatalf("%d results", len(results))
	}
	r := results[0]
	if n, err := stored(t.Context(), journalFile(dir)); err != nil || n != 300+r.Orders {
		t.Errorf("%d shipments are stored (%v), of 300 and %d orders", n, err, r.Orders)
	}
	if r.Orders == 0 || r.Orders > 50 || r.Delivered != r.Orders || r.Refused+r.Duplicates+r.Lost != 0 { // orders that are late at the end are not made
		t.Errorf("%d orders, %d delivered, %d refused, %d sent twice, %d lost; want 50 delivered",
			r.Orders, r.Delivered, r.Refused, r.Duplicates, r.Lost)
	}
	for what, p := range map[string]percentiles{"submit": r.Submit, "answer": r.Answer, "receipt": r.Receipt, "page": r.Page} {
		if p.P50 <= 0 || p.P99 < p.P50 {
			t.Errorf("%s took %v", what, p)
		}
	}
	if r.Stored != 300 || r.RestKiB == 0 || r.PeakKiB < r.RestKiB || r.Batch < 1 || r.Commit <= 0 {
		t.Errorf("%+v", r)
	}
}

// Two binaries take turns, in the reverse order in every second round.
func TestCompare(t *testing.T) {
	after := filepath.Join(t.TempDir(), "after")
	if err := os.Symlink(built(t), after); err != nil {
		t.Fatal(err)
	}
	results := bench(t, "-straks", built(t), "-straks", after, "-rounds", "2", "-clients", "2", "-rate", "50", "-for", "200ms")
	var order []string
	for _, r := range results {
		order = append(order, r.Program)
		if r.Orders == 0 || r.Delivered != r.Orders {
			t.Errorf("%s, round %d: %d orders, %d delivered", r.Program, r.Round, r.Orders, r.Delivered)
		}
	}
	if got := strings.Join(order, " "); got != "straks after after straks" {
		t.Errorf("the order was %q", got)
	}
}

// Nodes over PostgreSQL are measured beside a daemon over a file.
func TestNodes(t *testing.T) {
	if err := pgcluster.Available(); err != nil {
		t.Skip(err)
	}
	results := bench(t, "-straks", built(t), "-nodes", "2", "-clients", "4", "-rate", "100", "-for", "300ms")
	if len(results) != 2 || results[0].Program != "file" || results[1].Program != "2 nodes" {
		t.Fatalf("%+v", results)
	}
	for _, r := range results {
		if r.Orders == 0 || r.Delivered != r.Orders || r.Refused != 0 || r.RestKiB == 0 || r.Page.P50 == 0 {
			t.Errorf("%+v", r)
		}
	}
	if results[0].DatabaseKiB != 0 || results[1].DatabaseKiB == 0 {
		t.Errorf("the database has %d KiB, with a file %d", results[1].DatabaseKiB, results[0].DatabaseKiB)
	}
}

func TestMisused(t *testing.T) {
	for _, args := range [][]string{{"-clients", "2", "-rate", "-1"}, {"-clients", "2", "-rate", "NaN"}, {"-clients", "-2"}, {"-clients", "2", "-delay", "-1s"},
		{"-stored", "-1"}, {"-for", "0s"}, {"-for", "-1s", "-overload"}, {"-profile", "cpu.out"}, {"-rate", "50"}, {"-delay", "50ms"}, {"-freezable", "/x"},
		{"-rounds", "-1"}, {"-soak", "-1s"}, {"-clients", "2", "-profile", "cpu.out", "-rounds", "2"}, {"-receipt", "-1s"}, {"-nodes", "-1"}, {"-nodes", "2", "-overload"}, {"saturated"}} {
		var out, log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // what is let through is not measured
		if code := run(ctx, args, nil, &out, &log); code != 2 || !strings.Contains(log.String(), "bench: ") {
			t.Errorf("%q: exit code %d: %s", args, code, log.String())
		}
	}
}
