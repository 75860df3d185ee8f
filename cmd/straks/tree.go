package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"straks/internal/daemon"
	"straks/internal/suggest"
	"straks/orders/bolt"
	"straks/orders/postgres"
)

// usage is what a command says of itself: see action.
type usage struct {
	flags    *flags
	operands []string  // their names, as given to parse
	actions  []command // of a command whose first operand names an action
}

// errDescribed ends a command that only describes itself.
var errDescribed = errors.New("the command has described itself")

// usage returns what the command says of itself.
func (c command) usage() usage {
	var u usage
	err := c.run(context.Background(), nil, env{strings.NewReader(""), io.Discard, io.Discard, &u})
	if err != errDescribed {
		panic(fmt.Sprintf("%s does not describe itself: %v", c.name, err)) // a test describes all
	}
	return u
}

// execute runs the command that args name.
func execute(ctx context.Context, args []string, e env) error {
	root := newTree(commands(), e)
	if len(args) > 0 && (args[0] == "-help" || args[0] == "-version") { // cobra's flags have two hyphens
		args = append([]string{"-" + args[0]}, args[1:]...)
	}
	root.SetArgs(append([]string{}, args...)) // nil would stand for those of the process
	return root.ExecuteContext(ctx)
}

// newTree returns the program as cobra knows it, which finds the command, its help and its
// completion. Commands parse their flags themselves, by the flag package: cobra's own parser
// reads -config as five flags of a letter each.
func newTree(table []command, e env) *cobra.Command {
	root := &cobra.Command{
		Use:               "straks",
		Short:             "instant notifications by SMS and e-mail",
		Long:              "straks sends one SMS or one e-mail to one recipient, at once. It is the daemon, and the commands of its operator and of a client.",
		Version:           versionLine(),
		Args:              cobra.ArbitraryArgs,
		SilenceErrors:     true, // run prints them
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(table, args[0])
			}
			printCommands(e.stderr, table)
			return misused("which command?")
		},
	}
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return misused("%v; \"straks help\" lists the commands", err) })
	root.SetHelpFunc(func(*cobra.Command, []string) { printCommands(e.stdout, table) })
	root.SetHelpCommand(helpCommand(table, e))
	for _, c := range table {
		root.AddCommand(c.node(e))
	}
	root.AddCommand(manCommand(table))
	return root
}

// node returns the command as a part of the tree.
func (c command) node(e env) *cobra.Command {
	return &cobra.Command{
		Use:                c.name,
		Short:              c.help,
		Args:               cobra.ArbitraryArgs,
		DisableFlagParsing: true,
		RunE:               func(node *cobra.Command, args []string) error { return c.run(node.Context(), args, e) },
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return c.complete(args, word)
		},
	}
}

func unknownCommand(table []command, name string) error {
	names := make([]string, len(table))
	for i, c := range table {
		names[i] = c.name
	}
	if near := suggest.For(name, names); near != "" {
		return misused("no command %q; did you mean %q?", name, near)
	}
	return misused("no command %q; \"straks help\" lists them", name)
}

// helpCommand is "straks help", "straks help send" and "straks help send sms".
func helpCommand(table []command, e env) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "print the commands, or the flags of one",
		RunE: func(node *cobra.Command, args []string) error {
			if len(args) == 0 {
				printCommands(e.stdout, table)
				return nil
			}
			for _, c := range table {
				if c.name == args[0] {
					return c.run(node.Context(), append(args[1:], "-h"), e)
				}
			}
			return unknownCommand(table, args[0])
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			of := table
			for _, arg := range args {
				of = actionsOf(of, arg)
			}
			return completeCommands(of, word), cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// actionsOf returns the actions of the command with the name; none where there is no such command.
func actionsOf(table []command, name string) []command {
	for _, c := range table {
		if c.name == name {
			return c.usage().actions
		}
	}
	return nil
}

func versionCommand(_ context.Context, args []string, e env) error {
	if _, err := newFlags("version").parse(args, e); err != nil {
		return err
	}
	_, err := fmt.Fprintln(e.stdout, versionLine())
	return err
}

func versionLine() string {
	version, revision, goVersion := daemon.Version()
	return fmt.Sprintf("straks %s %s %s, journal schema %d, in PostgreSQL %d", version, revision, goVersion, bolt.SchemaVersion, postgres.SchemaVersion())
}
