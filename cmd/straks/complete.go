package main

import (
	"context"
	"flag"
	"strings"

	"github.com/spf13/cobra"

	"straks/internal/config"
)

// completionCommand prints the script that makes a shell complete the command line of straks.
func completionCommand(_ context.Context, args []string, e env) error {
	fs := newFlags("completion bash|zsh|fish")
	fs.notes = "The packages install the scripts. Elsewhere:\n\n" +
		"  straks completion bash >/etc/bash_completion.d/straks     (needs the package bash-completion)\n" +
		"  straks completion zsh  >/usr/local/share/zsh/site-functions/_straks\n" +
		"  straks completion fish >/etc/fish/completions/straks.fish\n"
	operands, err := fs.parse(args, e, "bash|zsh|fish")
	if err != nil {
		return err
	}
	root := newTree(commands(), e)
	switch operands[0] {
	case "bash":
		return root.GenBashCompletionV2(e.stdout, true)
	case "zsh":
		return root.GenZshCompletion(e.stdout)
	case "fish":
		return root.GenFishCompletion(e.stdout, true)
	}
	return misused("completion: no script for %q; usage: straks %s", operands[0], fs.synopsis)
}

// complete returns what the word may become, of which the shell has the beginning, after the
// arguments before it.
func (c command) complete(args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const plain = cobra.ShellCompDirectiveNoFileComp
	u := c.usage()
	line := u.read(args)
	if u.actions != nil && len(line.operands) > 0 {
		for _, a := range u.actions {
			if a.name == args[0] {
				return a.complete(args, word)
			}
		}
		return nil, plain
	}
	if line.awaits != nil {
		return u.completeValue(line, *line.awaits, "", word)
	}
	if name, value, given := strings.Cut(strings.TrimLeft(word, "-"), "="); given && strings.HasPrefix(word, "-") {
		if f := u.flags.Lookup(name); f != nil {
			return u.completeValue(line, *f, strings.TrimSuffix(word, value), value)
		}
		return nil, plain
	}
	switch {
	case strings.HasPrefix(word, "-"):
		return u.completeFlags(line, word), plain
	case u.actions != nil:
		return completeCommands(u.actions, word), plain
	case len(line.operands) < len(u.operands):
		return u.completeOperand(line, u.operands[len(line.operands)], word)
	}
	return nil, plain
}

// typed is the part of a command line before the word that is completed.
type typed struct {
	given    map[string]string // flags with their values
	operands []string
	awaits   *flag.Flag // the flag whose value comes next; nil: none
}

// read sorts arguments by the rules of the flag package.
func (u usage) read(args []string) typed {
	line := typed{given: make(map[string]string)}
	for _, arg := range args {
		name, value, valued := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch f := u.flags.Lookup(name); {
		case line.awaits != nil:
			line.given[line.awaits.Name], line.awaits = arg, nil
		case !strings.HasPrefix(arg, "-") || arg == "-":
			line.operands = append(line.operands, arg)
		case f == nil:
		case !valued && !isSwitch(f):
			line.awaits = f
		default:
			line.given[name] = value
		}
	}
	return line
}

// isSwitch reports whether a flag needs no value.
func isSwitch(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// completeFlags returns the flags that are not given yet, with as many hyphens as the word has.
func (u usage) completeFlags(line typed, word string) (found []cobra.Completion) {
	hyphens := "-"
	if strings.HasPrefix(word, "--") {
		hyphens = "--"
	}
	u.flags.VisitAll(func(f *flag.Flag) {
		_, given := line.given[f.Name]
		if name := hyphens + f.Name; strings.HasPrefix(name, word) && (!given || strings.Contains(f.Usage, "repeated")) {
			_, help := flag.UnquoteUsage(f)
			found = append(found, cobra.CompletionWithDesc(name, help))
		}
	})
	return found
}

// completeValue completes the value of a flag. The prefix is the part of the word before it.
func (u usage) completeValue(line typed, f flag.Flag, prefix, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if isSwitch(&f) {
		return completeWords([]string{"true", "false"}, prefix, word), cobra.ShellCompDirectiveNoFileComp
	}
	kind, _ := flag.UnquoteUsage(&f)
	switch kind = strings.ToLower(kind); {
	case kind == "file":
		return nil, cobra.ShellCompDirectiveDefault
	case kind == "folder":
		return nil, cobra.ShellCompDirectiveFilterDirs
	case f.Name == "admin": // the path of a socket, most often
		return nil, cobra.ShellCompDirectiveDefault
	}
	names := u.configured(line)
	switch f.Name {
	case "org", "organisation":
		return completeWords(names.Organisations, prefix, word), cobra.ShellCompDirectiveNoFileComp
	case "smsc":
		return completeWords(names.SMSCs, prefix, word), cobra.ShellCompDirectiveNoFileComp
	case "relay":
		return completeWords(names.Relays, prefix, word), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeOperand completes the operand of a name, as parse has it: "new" and "bash|zsh" are the words
// themselves, others are described.
func (u usage) completeOperand(line typed, name, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	name = strings.Trim(name, "[]…")
	if name == strings.ToLower(name) {
		return completeWords(strings.Split(name, "|"), "", word), cobra.ShellCompDirectiveNoFileComp
	}
	switch name {
	case "SMSC":
		return completeWords(u.configured(line).SMSCs, "", word), cobra.ShellCompDirectiveNoFileComp
	case "RELAY":
		return completeWords(u.configured(line).Relays, "", word), cobra.ShellCompDirectiveNoFileComp
	}
	if name == "FILE" || strings.Contains(name, "file") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// configured returns the names in the configuration that the command line names. There are none where
// the file can't be read: completion does not complain.
func (u usage) configured(line typed) config.Names {
	path := defaultConfig
	if given, ok := line.given["config"]; ok {
		path = given
	}
	names, _ := config.ReadNames(path)
	return names
}

func completeWords(words []string, prefix, word string) (found []cobra.Completion) {
	for _, w := range words {
		if strings.HasPrefix(w, word) {
			found = append(found, prefix+w)
		}
	}
	return found
}

func completeCommands(table []command, word string) (found []cobra.Completion) {
	for _, c := range table {
		if strings.HasPrefix(c.name, word) {
			found = append(found, cobra.CompletionWithDesc(c.name, c.help))
		}
	}
	return found
}
