package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"straks/internal/printable"
)

// table prints rows in columns. A cell may hold text from anywhere: what is not printable in
// it is quoted, so that it neither reaches the terminal nor makes a cell or a row.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer) table { return table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

// row prints one row; each cell is formatted as by fmt.Sprint.
func (t table) row(cells ...any) {
	line := make([]string, len(cells))
	for i, c := range cells {
		line[i] = printable.Text(fmt.Sprint(c))
	}
	fmt.Fprintln(t, strings.Join(line, "\t"))
}

// section begins a new part of the table, with its own columns.
func (t table) section(heads ...any) {
	fmt.Fprintln(t)
	t.row(heads...)
}
