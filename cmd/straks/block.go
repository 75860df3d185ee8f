package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strings"
	"time"

	"straks/internal/daemon"
	"straks/internal/printable"
)

// blockCommand reads and changes the block lists of a running daemon.
func blockCommand(ctx context.Context, args []string, e env) error {
	return choice(ctx, args, e, "block list|show|add|lift [flags]", []command{
		{"list", "print the entries of the block lists", blockList},
		{"show", "print what is known of one recipient", blockShow},
		{"add", "block a recipient", blockAdd},
		{"lift", "let a recipient have messages again", blockLift},
	})
}

// maxBlocks bounds one answer about block lists, in octets.
const maxBlocks = 4 << 20

// blockList prints the entries of all block lists, or of one organisation's.
func blockList(ctx context.Context, args []string, e env) error {
	fs := newFlags("block list [-organisation NAME] [-lifted] [-json] [-config FILE | -admin ADDRESS]")
	admin := fs.adminFlags()
	organisation := fs.String("organisation", "", "only entries of the organisation `NAME`")
	lifted := fs.Bool("lifted", false, "entries that were lifted in the last day, and suppressions that ended, too")
	asJSON := fs.Bool("json", false, "print a line of JSON for each entry")
	if _, err := fs.parse(args, e, "list"); err != nil {
		return err
	}
	c, err := admin.client()
	if err != nil {
		return err
	}
	p := newBlockPrinter(e, *asJSON)
	err = eachBlock(ctx, c, *organisation, func(b daemon.BlockEntry) error {
		if b.Blocked || *lifted {
			p.print(b)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.end("nobody is blocked")
}

// eachBlock visits the entries of all block lists, or of one organisation's.
func eachBlock(ctx context.Context, c *adminClient, organisation string, visit func(daemon.BlockEntry) error) error {
	query := url.Values{"organisation": {organisation}}
	for {
		var page daemon.BlockPage
		if err := c.getJSON(ctx, "/blocks?"+query.Encode(), maxBlocks, &page); err != nil {
			return err
		}
		for _, b := range page.Blocks {
			if err := visit(b); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		if page.Next <= query.Get("after") {
			return fmt.Errorf("%s: the answer is not that of a straks: its pages do not advance", c.where)
		}
		query.Set("after", page.Next)
	}
}

// blockShow prints the entries of one recipient.
func blockShow(ctx context.Context, args []string, e env) error {
	fs := newFlags("block show [-organisation NAME] [-json] [-config FILE | -admin ADDRESS] RECIPIENT")
	admin := fs.adminFlags()
	organisation := fs.String("organisation", "", "only the entry of the organisation `NAME`")
	asJSON := fs.Bool("json", false, "print a line of JSON for each entry")
	operands, err := fs.parse(args, e, "show", "RECIPIENT (a phone number or an e-mail address)")
	if err != nil {
		return err
	}
	c, err := admin.client()
	if err != nil {
		return err
	}
	var page daemon.BlockPage
	query := url.Values{"organisation": {*organisation}, "recipient": {operands[1]}}
	if err := c.getJSON(ctx, "/blocks?"+query.Encode(), maxBlocks, &page); err != nil {
		return err
	}
	p := newBlockPrinter(e, *asJSON)
	for _, b := range page.Blocks {
		p.print(b)
	}
	return p.end("not blocked")
}

func blockAdd(ctx context.Context, args []string, e env) error {
	return changeBlock(ctx, args, e, "add", "is given no messages of this organisation from now on")
}

func blockLift(ctx context.Context, args []string, e env) error {
	return changeBlock(ctx, args, e, "lift", "is given the messages of this organisation again")
}

// changeBlock puts a recipient on an organisation's block list, or takes it off.
func changeBlock(ctx context.Context, args []string, e env, what, done string) error {
	fs := newFlags("block " + what + " -organisation NAME -reason TEXT [-config FILE | -admin ADDRESS] RECIPIENT")
	admin := fs.adminFlags()
	organisation := fs.String("organisation", "", "the `NAME` of the organisation whose list it is. Required")
	reason := fs.String("reason", "", "`TEXT` for operators who look at the entry later. Required")
	who := "RECIPIENT (a phone number or an e-mail address)"
	if what == "lift" {
		who = "RECIPIENT (a phone number, an e-mail address, or @DOMAIN for all suppressed addresses of a domain)"
	}
	operands, err := fs.parse(args, e, what, who)
	switch {
	case err != nil:
		return err
	case *organisation == "":
		return misused("block %s: -organisation is missing; usage: straks %s", what, fs.synopsis)
	case *reason == "":
		return misused("block %s: -reason is missing; usage: straks %s", what, fs.synopsis)
	}
	c, err := admin.client()
	if err != nil {
		return err
	}
	change := daemon.BlockChange{Organisation: *organisation, Recipient: operands[1], Lift: what == "lift", Reason: *reason, By: operator()}
	if change.Lift && strings.HasPrefix(operands[1], "@") {
		return liftDomain(ctx, c, change, e)
	}
	b, err := postBlock(ctx, c, change)
	if err == nil {
		_, err = fmt.Fprintf(e.stdout, "%s %s\n", printable.Text(b.Recipient), done)
	}
	return err
}

func postBlock(ctx context.Context, c *adminClient, change daemon.BlockChange) (b daemon.BlockEntry, err error) {
	body, err := json.Marshal(change)
	if err != nil {
		return b, err
	}
	if err := c.doJSON(ctx, http.MethodPost, "/blocks", body, maxBlocks, &b); err != nil {
		return b, err
	}
	if b.Recipient == "" || b.Blocked == change.Lift {
		return b, errors.New("the answer is not that of a straks: the entry is another")
	}
	return b, nil
}

// liftDomain ends all suppressions of a domain, "@example.org": its servers have called addresses unknown that
// exist. Other entries stay, since a person wanted them.
func liftDomain(ctx context.Context, c *adminClient, change daemon.BlockChange, e env) error {
	domain, lifted := strings.ToLower(change.Recipient), 0
	err := eachBlock(ctx, c, change.Organisation, func(b daemon.BlockEntry) error {
		if !b.Blocked || b.Until.IsZero() || !strings.HasSuffix(strings.ToLower(b.Recipient), domain) {
			return nil
		}
		change.Recipient = b.Recipient
		_, err := postBlock(ctx, c, change)
		if err == nil {
			lifted++
		}
		return err
	})
	fmt.Fprintf(e.stdout, "%d suppressed addresses of %s lifted\n", lifted, printable.Text(domain))
	return err
}

// operator returns the name of the person at the terminal, as far as the system knows it.
func operator() string {
	name := ""
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return cmp.Or(os.Getenv("SUDO_USER"), name)
}

// blockPrinter prints entries of block lists.
type blockPrinter struct {
	e     env
	json  bool
	table table
	n     int
	err   error // of the output
}

func newBlockPrinter(e env, asJSON bool) *blockPrinter {
	return &blockPrinter{e: e, json: asJSON, table: newTable(e.stdout)}
}

func (p *blockPrinter) print(b daemon.BlockEntry) {
	if p.n++; p.json {
		p.err = cmp.Or(p.err, printJSON(p.e.stdout, b))
		return
	}
	if p.n == 1 {
		p.table.row("ORGANISATION", "CHANNEL", "RECIPIENT", "STATE", "SINCE", "SOURCE", "WORD", "BY", "REASON")
	}
	p.table.row(b.Organisation, b.Channel, cmp.Or(b.Recipient, "(not known: stored by an older program)"), blockState(b),
		b.At.Local().Format(time.DateTime), b.Source, b.Word, b.By, b.Reason)
}

// blockState says in a word or two whether an entry holds.
func blockState(b daemon.BlockEntry) string {
	switch {
	case b.Blocked && !b.Until.IsZero():
		return "suppressed until " + b.Until.Local().Format(time.DateTime)
	case b.Blocked:
		return "blocked"
	case !b.Until.IsZero():
		return "ended " + b.Until.Local().Format(time.DateTime)
	}
	return "lifted"
}

// end prints what is left, or that there is nothing.
func (p *blockPrinter) end(nothing string) error {
	if p.err != nil {
		return p.err
	}
	if p.n == 0 && !p.json {
		_, err := fmt.Fprintln(p.e.stdout, nothing)
		return err
	}
	return p.table.Flush()
}
