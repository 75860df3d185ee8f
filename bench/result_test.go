package main

import (
	"strings"
	"testing"
	"time"
)

func TestBroken(t *testing.T) {
	for _, r := range []result{{Orders: 3, Refused: 9}, {Orders: 3, Lost: 1}, {Orders: 3, Duplicates: 1}, {Improper: 1}} {
		if want := r.Lost+r.Duplicates+r.Improper > 0; (r.broken() != nil) != want {
			t.Errorf("%+v: %v", r, r.broken())
		}
	}
}

// Figures are medians of the rounds; ratios are those of the last program to the first.
func TestPrintResults(t *testing.T) {
	var results []result
	for i, rate := range []float64{100, 110, 500, 50, 55, 1} {
		program := []string{"before", "after"}[i/3]
		results = append(results, result{Name: "saturated", Program: program, Rate: rate, Commit: time.Millisecond, Batch: 2})
	}
	table := rows(results)
	if got := table["orders/s answered"]; got != "110 50 0.45" {
		t.Errorf("rates: %q", got)
	}
	if got := table["calls in a commit / its mean ms"]; got != "2.00 / 1.00 2.00 / 1.00 1.00 / 1.00" {
		t.Errorf("commits: %q", got)
	}
	if got := table["sent twice / lost"]; got != "0 / 0 0 / 0 - / -" {
		t.Errorf("losses: %q", got)
	}
	if got, ok := table["of the peak, %"]; ok {
		t.Errorf("not measured: %q", got)
	}
	table = rows([]result{{Name: "peak", Program: "straks", OfPeak: 1}, {Name: "frozen", Program: "straks"}})
	if got := table[""] + "; " + table["of the peak, %"]; got != "peak frozen; 100 -" {
		t.Errorf("one program: %q", got)
	}
}

// In Markdown a cell has both programs and the ratio.
func TestPrintMarkdown(t *testing.T) {
	var text strings.Builder
	printMarkdown(&text, []result{{Name: "50/s", Program: "before", Rate: 40, Commit: time.Millisecond, Batch: 2}, {Name: "50/s", Program: "after", Rate: 50}})
	for _, want := range []string{"| before → after | 50/s |\n|---|---|\n", "| orders/s answered | 40 → 50 (1.25) |\n", "| calls in a commit / its mean ms | 2.00 / 1.00 → - (-) |\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}

// rows returns the cells of each row of the printed table, by the row's title.
func rows(results []result) map[string]string {
	var text strings.Builder
	printResults(&text, results)
	all := make(map[string]string)
	for line := range strings.Lines(text.String()) {
		line = strings.TrimSpace(line)
		title, cells, ok := strings.Cut(line, "   ")
		if !ok || !strings.ContainsAny(cells, "0123456789-") {
			title, cells = "", line
		}
		all[title] = strings.Join(strings.Fields(cells), " ")
	}
	return all
}
