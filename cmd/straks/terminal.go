package main

import (
	"os"

	"golang.org/x/term"
)

// isTerminal reports whether an input or output of the program is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
