package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"

	"straks/internal/printable"
	"straks/internal/suggest"
)

// Exit codes of the program.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitEnded  = 3 // of send and verify check
)

// env is the input and output of a command.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	described      *usage // not nil: the command only describes itself
}

// action is the function of a command. Before it calls flags.parse or choice, it defines its flags
// and does nothing else: completion and manual pages run it as far as there, to learn its flags.
type action func(ctx context.Context, args []string, e env) error

// command is one entry of the table in main.go, or an action of such a command.
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
	err := execute(ctx, args, env{stdin: stdin, stdout: stdout, stderr: stderr})
	var usage usageError
	var ended endedError
	var refused notApproved
	var exit sysexit
	code := exitFailed
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.As(err, &usage):
		code = exitUsage
	case errors.As(err, &ended), errors.As(err, &refused):
		code = exitEnded
	case errors.As(err, &exit):
		code = exit.code
	}
	complain(stderr, err)
	return code
}

// complain prints an error, for systemd's journal with a priority (sd-daemon(3)). Parts of it may come from
// a server or a file: no character of them moves the cursor or hides another.
func complain(stderr io.Writer, err error) {
	lines := strings.Split(err.Error(), "\n")
	for i, l := range lines {
		if len(l) > maxLine {
			lines[i] = strings.ToValidUTF8(l[:maxLine], "") + "…"
		}
	}
	text := printable.Lines("straks: " + strings.Join(lines, "\n"))
	if isJournal(stderr) {
		text = "<3>" + strings.ReplaceAll(text, "\n", "\n<3>")
	}
	fmt.Fprintln(stderr, text)
}

// maxLine bounds a line of an error, in octets.
const maxLine = 4 << 10

// choice runs the action of a command that the first argument names.
func choice(ctx context.Context, args []string, e env, synopsis string, actions []command) error {
	fs := newFlags(synopsis)
	if e.described != nil {
		*e.described = usage{flags: fs, actions: actions}
		return errDescribed
	}
	names := make([]string, len(actions))
	for i, a := range actions {
		if names[i] = a.name; len(args) > 0 && args[0] == a.name {
			return a.run(ctx, args, e)
		}
	}
	if len(args) > 0 && strings.HasPrefix(args[0], "-") { // -h, or a flag before the action
		_, err := fs.parse(args[:1], e)
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(e.stdout, "Its actions, each with flags of its own:\n\n")
			printTable(e.stdout, actions)
			fmt.Fprintf(e.stdout, "\n\"straks %s ACTION -h\" lists the flags of an action.\n", fs.Name())
		}
		if err != nil {
			return err
		}
	}
	if len(args) > 0 {
		if near := suggest.For(args[0], names); near != "" {
			return misused("%s: no action %q; did you mean %q?", fs.Name(), args[0], near)
		}
	}
	return misused("%s what: %s? usage: straks %s", fs.Name(), strings.Join(names, ", "), synopsis)
}

func printCommands(w io.Writer, table []command) {
	fmt.Fprint(w, "straks sends one SMS or one e-mail, at once.\n\nCommands:\n\n")
	printTable(w, table)
	fmt.Fprint(w, "\n\"straks COMMAND -h\" lists the flags of a command.\n")
}

func printTable(w io.Writer, table []command) {
	for _, c := range table {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.help)
	}
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
	if e.described != nil {
		*e.described = usage{flags: f, operands: names}
		return nil, errDescribed
	}
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

// unknownFlag is the error of the flag package for a flag that there is not.
var unknownFlag = regexp.MustCompile(`^flag provided but not defined: -(.*)$`)

// misspelt returns the error of a flag that is nearly one of f; nil for another error.
func (f *flags) misspelt(err error) error {
	m := unknownFlag.FindStringSubmatch(err.Error())
	if m == nil {
		return nil
	}
	var names []string
	f.VisitAll(func(known *flag.Flag) { names = append(names, known.Name) })
	near := suggest.For(m[1], names)
	if near == "" {
		return nil
	}
	return fmt.Errorf("no flag -%s; did you mean -%s?", m[1], near)
}

func (f *flags) explain(err error, e env) error {
	if !errors.Is(err, flag.ErrHelp) {
		return misused("%s: %v; usage: straks %s", f.Name(), cmp.Or(withoutUnit(err), f.misspelt(err), err), f.synopsis)
	}
	fmt.Fprintf(e.stdout, "usage: straks %s\n\n", f.synopsis)
	f.SetOutput(e.stdout)
	f.PrintDefaults()
	if f.notes != "" {
		fmt.Fprintf(e.stdout, "\n%s", f.notes)
	}
	return err
}
