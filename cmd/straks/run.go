package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"straks/internal/printable"
	"straks/internal/suggest"
)

// Exit codes of the program.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitEnded  = 3 // of send
)

// env is the input and output of a command.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

// action is the function of a command.
type action func(ctx context.Context, args []string, e env) error

// command is one entry of the table in main.go.
type command struct {
	name string
	help string // one line, a verb first
	run  action
}

// usageError is a mistake in the command line: exit code 2.
type usageError string

func (e usageError) Error() string { return string(e) }

// misused returns a usageError.
func misused(format string, args ...any) error {
	return usageError(fmt.Sprintf(format, args...))
}

// run is the program. It returns its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	err := dispatch(ctx, commands(), args, env{stdin, stdout, stderr})
	var usage usageError
	var ended endedError
	code := exitFailed
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.As(err, &usage):
		code = exitUsage
	case errors.As(err, &ended):
		code = exitEnded
	}
	complain(stderr, err)
	return code
}

// complain prints an error. Parts of it may come from a server or a file: no character of
// them moves the cursor or hides another.
func complain(stderr io.Writer, err error) {
	lines := strings.Split(err.Error(), "\n")
	for i, l := range lines {
		if len(l) > maxLine {
			lines[i] = strings.ToValidUTF8(l[:maxLine], "") + "…"
		}
	}
	fmt.Fprintf(stderr, "straks: %s\n", printable.Lines(strings.Join(lines, "\n")))
}

// maxLine bounds a line of an error, in octets.
const maxLine = 4 << 10

// dispatch runs the command that args name.
func dispatch(ctx context.Context, table []command, args []string, e env) error {
	if len(args) == 0 {
		printCommands(e.stderr, table)
		return misused("which command?")
	}
	name := args[0]
	switch name {
	case "help", "-h", "-help", "--help":
		printCommands(e.stdout, table)
		return nil
	case "-version", "--version":
		name = "version"
	}
	names := make([]string, len(table))
	for i, c := range table {
		if c.name == name {
			return c.run(ctx, args[1:], e)
		}
		names[i] = c.name
	}
	if near := suggest.For(name, names); near != "" {
		return misused("no command %q; did you mean %q?", name, near)
	}
	return misused("no command %q; \"straks help\" lists them", name)
}

// choice runs the action of a command that the first argument names.
func choice(ctx context.Context, args []string, e env, synopsis string, actions map[string]action) error {
	fs := newFlags(synopsis)
	names := slices.Sorted(maps.Keys(actions))
	if len(args) > 0 && actions[args[0]] != nil {
		return actions[args[0]](ctx, args, e)
	}
	if len(args) > 0 && strings.HasPrefix(args[0], "-") { // -h, or a flag before the action
		_, err := fs.parse(args[:1], e)
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(e.stdout, "The flags of each:\n\n")
			for _, name := range names {
				fmt.Fprintf(e.stdout, "  straks %s %s -h\n", fs.Name(), name)
			}
		}
		if err != nil {
			return err
		}
	}
	return misused("%s what: %s? usage: straks %s", fs.Name(), strings.Join(names, ", "), synopsis)
}

func printCommands(w io.Writer, table []command) {
	fmt.Fprint(w, "straks sends one SMS or one e-mail, at once.\n\nCommands:\n\n")
	for _, c := range table {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.help)
	}
	fmt.Fprint(w, "\n\"straks COMMAND -h\" lists the flags of a command.\n")
}

// flags is the flag set of one command. Its errors are usageErrors.
type flags struct {
	*flag.FlagSet
	synopsis string // "check -config FILE"
	notes    string // the end of the help
}

func newFlags(synopsis string) *flags {
	name, _, _ := strings.Cut(synopsis, " ")
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // parse returns the error, which run prints
	return &flags{FlagSet: fs, synopsis: synopsis}
}

// parse reads args, in which flags and operands may be mixed, and returns the
// operands: one for each of names. Only those in brackets may be missing, and there may be several of
// one that ends with "…]".
func (f *flags) parse(args []string, e env, names ...string) ([]string, error) {
	var operands []string
	for {
		if err := f.Parse(args); err != nil {
			return nil, f.explain(err, e)
		}
		if f.NArg() == 0 {
			break
		}
		operands, args = append(operands, f.Arg(0)), f.Args()[1:]
	}
	if len(operands) > len(names) && !(len(names) > 0 && strings.HasSuffix(names[len(names)-1], "…]")) {
		return nil, misused("%s: what is %q? usage: straks %s", f.Name(), operands[len(names)], f.synopsis)
	}
	if len(operands) < len(names) && !strings.HasPrefix(names[len(operands)], "[") {
		return nil, misused("%s: %s is missing; usage: straks %s", f.Name(), names[len(operands)], f.synopsis)
	}
	return operands, nil
}

// bareNumber is the error of the flag package for a duration that is a number alone.
var bareNumber = regexp.MustCompile(`^invalid value "([0-9]+)" for flag -(\S+): parse error$`)

// withoutUnit returns the error of a duration that lacks its unit; nil for another error.
func withoutUnit(err error) error {
	m := bareNumber.FindStringSubmatch(err.Error())
	if m == nil {
		return nil
	}
	return fmt.Errorf("-%s %s has no unit: is it %ss, or %sm?", m[2], m[1], m[1], m[1])
}

func (f *flags) explain(err error, e env) error {
	if !errors.Is(err, flag.ErrHelp) {
		return misused("%s: %v; usage: straks %s", f.Name(), cmp.Or(withoutUnit(err), err), f.synopsis)
	}
	fmt.Fprintf(e.stdout, "usage: straks %s\n\n", f.synopsis)
	f.SetOutput(e.stdout)
	f.PrintDefaults()
	if f.notes != "" {
		fmt.Fprintf(e.stdout, "\n%s", f.notes)
	}
	return err
}
