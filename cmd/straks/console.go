package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"golang.org/x/term"

	"straks/console"
	"straks/internal/faults"
)

// consoleCommand makes users of the console.
func consoleCommand(ctx context.Context, args []string, e env) error {
	return choice(ctx, args, e, "console user NAME [-roles ROLE,…]", []command{{"user", "read a password, and print the user's stanza for the configuration", consoleUser}})
}

// maxPasswordLine is more than a password has, in octets.
const maxPasswordLine = 1024

// consoleUser reads a password, and prints the user's stanza for the configuration.
func consoleUser(_ context.Context, args []string, e env) error {
	fs := newFlags("console user NAME [-roles ROLE,…]")
	roles := fs.String("roles", "view", "what the user may do: view, support, operate; several with commas")
	fs.notes = "The password is read from the terminal, or else from the first line of the standard input.\n"
	operands, err := fs.parse(args, e, "user", "NAME")
	if err != nil {
		return err
	}
	if !faults.ValidName(operands[1]) {
		return misused("console: %q is not a name: letters, digits, '.', '-' and '_' only, 64 at most", operands[1])
	}
	for _, s := range strings.Split(*roles, ",") {
		if _, err := console.ParseRole(s); err != nil {
			return misused("console: -roles %v", err)
		}
	}
	password, err := readPassword(e)
	if err != nil {
		return err
	}
	hash, err := console.HashPassword(password)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "[[console.user]]\nname = %q\nbcrypt = %q\nroles = [\"%s\"]\n", operands[1], hash, strings.ReplaceAll(*roles, ",", `", "`))
	return err
}

// readPassword reads a password from a terminal, twice and without an echo, or one line.
func readPassword(e env) (string, error) {
	file, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(e.stdin, maxPasswordLine)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	fmt.Fprint(e.stderr, "password: ")
	first, err := term.ReadPassword(int(file.Fd()))
	fmt.Fprint(e.stderr, "\nagain: ")
	if err != nil {
		return "", err
	}
	second, err := term.ReadPassword(int(file.Fd()))
	fmt.Fprintln(e.stderr)
	if err == nil && string(first) != string(second) {
		err = errors.New("the passwords differ")
	}
	return string(first), err
}

// carrierCommand controls one SMSC or relay of a running daemon.
func carrierCommand(ctx context.Context, args []string, e env) error {
	return choice(ctx, args, e, "carrier pause|drain|resume|try NAME", []command{
		{"pause", "give the carrier no message; receipts are still taken", carrierAction},
		{"drain", "pause it, and close its connections when all is answered", carrierAction},
		{"resume", "end both", carrierAction},
		{"try", "have it connect at once", carrierAction},
	})
}

func carrierAction(ctx context.Context, args []string, e env) error {
	fs := newFlags("carrier pause|drain|resume|try NAME [-reason TEXT] [-config FILE | -admin ADDRESS]")
	admin := fs.adminFlags()
	reason := fs.String("reason", "", "why: `TEXT` for the log")
	fs.notes = "pause   give it no message; receipts are still taken\n" +
		"drain   pause it, and close its connections when all is answered\n" +
		"resume  end both\n" +
		"try     connect at once, also after refused credentials\n\n" +
		"A restart of the daemon ends pause and drain.\n"
	operands, err := fs.parse(args, e, "pause|drain|resume|try", "NAME (of an SMSC or a relay)")
	if err != nil {
		return err
	}
	c, err := admin.client()
	if err != nil {
		return err
	}
	query := url.Values{"reason": {*reason}, "by": {operator()}}
	var answer struct{}
	if err := c.doJSON(ctx, "POST", "/carriers/"+url.PathEscape(operands[1])+"/"+operands[0]+"?"+query.Encode(), nil, 1024, &answer); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "done; \"straks status\" shows it\n")
	return err
}
