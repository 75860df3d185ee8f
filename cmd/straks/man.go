package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand is "straks man FOLDER", which the packages are built with: it writes a manual page for
// each command. It is in no list of commands.
func manCommand(table []command) *cobra.Command {
	return &cobra.Command{
		Use:    "man FOLDER",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return writeManual(manualTree(table), args[0])
		},
	}
}

// manualTree returns the commands with their flags, for their description only.
func manualTree(table []command) *cobra.Command {
	root := newTree(table, env{})
	root.RemoveCommand(root.Commands()...)
	for _, c := range table {
		root.AddCommand(c.page())
	}
	return root
}

// page returns the command as its manual page has it.
func (c command) page() *cobra.Command {
	u := c.usage()
	p := &cobra.Command{
		Use:                   c.synopsis(u),
		Short:                 c.help,
		Long:                  strings.ToUpper(c.help[:1]) + c.help[1:] + ".",
		DisableFlagsInUseLine: true,
		Run:                   func(*cobra.Command, []string) {}, // cobra hides what can't run
	}
	if u.flags.notes != "" {
		p.Long += "\n\n```\n" + strings.TrimSpace(u.flags.notes) + "\n```"
	}
	p.Flags().AddGoFlagSet(u.flags.FlagSet)
	for _, a := range u.actions {
		p.AddCommand(a.page())
	}
	return p
}

// synopsis returns the synopsis from the name of the command on: the page of "journal stats" stands below that
// of "journal". Several actions may share "carrier pause|drain NAME".
func (c command) synopsis(u usage) string {
	words := strings.Fields(u.flags.synopsis)
	for i, word := range words {
		if slices.Contains(strings.Split(word, "|"), c.name) {
			return strings.Join(append([]string{c.name}, words[i+1:]...), " ")
		}
	}
	return c.name
}

// writeManual writes the pages of a command and of those below it. The date of a page is
// $SOURCE_DATE_EPOCH, where it is set: then the same source gives the same pages.
func writeManual(c *cobra.Command, folder string) error {
	c.DisableAutoGenTag = true
	for _, below := range c.Commands() {
		if err := writeManual(below, folder); err != nil {
			return err
		}
	}
	var page bytes.Buffer
	if err := doc.GenMan(c, &doc.GenManHeader{Section: "1", Source: "straks", Manual: "straks"}, &page); err != nil {
		return err
	}
	// Cobra writes flags with two hyphens. Both are right; the help has one.
	text := strings.ReplaceAll(page.String(), `\fB--`, `\fB-`)
	name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
	return os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644)
}
