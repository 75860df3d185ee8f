package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"straks/internal/config"
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
	root.Use, root.DisableFlagsInUseLine = "straks COMMAND [flags]", true
	root.Long += "\n\n# COMMANDS\n"
	for _, c := range table {
		root.Long += fmt.Sprintf("**%s**\n\t%s\n\n", c.name, c.help)
		root.AddCommand(c.page())
	}
	root.Long += manualEnd
	return root
}

// manualEnd is the end of the page of the program itself, as Markdown.
const manualEnd = `# EXIT STATUS
**0**
	done

**1**
	it failed; the reason is on stderr

**2**
	the command line is wrong

**3**
	send: the order was taken, but its message failed for good

# FILES
**` + defaultConfig + `**
	configuration

**` + config.CredentialFolder + `**
	passwords and private keys, one in a file

# ENVIRONMENT
**STRAKS_URL**, **STRAKS_TOKEN**
	where send, shipment and feed find the API, and their token

**` + adminToken + `**
	the token of an admin listener on TCP

**NO_COLOR**
	no colours on a terminal
`

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

// twice is a flag of one letter, as cobra writes it.
var twice = regexp.MustCompile(`\\fB-(\w)\\fP, \\fB-\w\\fP`)

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
	// Cobra writes flags with two hyphens, and those of one letter twice. Both are right; the help has one.
	text := strings.ReplaceAll(page.String(), `\fB--`, `\fB-`)
	text = twice.ReplaceAllString(strings.ReplaceAll(text, "[=false]", ""), `\fB-$1\fP`)
	name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
	return os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644)
}
