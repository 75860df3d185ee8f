package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"straks/api/client"
	"straks/internal/daemon"
	"straks/internal/printable"
	"straks/internal/rawwords"
)

// debugCommand is "straks debug words".
func debugCommand(ctx context.Context, args []string, e env) error {
	return choice(ctx, args, e, "debug words [flags]", []command{
		{"words", "print what one carrier says, while it says it", debugWords},
	})
}

// debugWords prints what one carrier says, word for word, while it says it. The words may quote
// messages, numbers and passwords, so they go to a terminal only, and nothing of straks stores them.
func debugWords(ctx context.Context, args []string, e env) error {
	fs := newFlags("debug words (-smsc NAME | -relay NAME) [-for TIME] [-config FILE | -admin ADDRESS]")
	admin := fs.adminFlags()
	smsc := fs.String("smsc", "", "`name` of the SMSC to listen to")
	relay := fs.String("relay", "", "`name` of the relay to listen to")
	long := fs.Duration("for", 5*time.Minute, fmt.Sprintf("`time` to listen, at most %v", daemon.MaxListening))
	if _, err := fs.parse(args, e, "words"); err != nil {
		return err
	}
	query := url.Values{"for": {long.String()}}
	switch {
	case (*smsc == "") == (*relay == ""):
		return misused("debug words: give -smsc or -relay; usage: straks %s", fs.synopsis)
	case *smsc != "":
		query.Set("smsc", *smsc)
	default:
		query.Set("relay", *relay)
	}
	if !isTerminal(e.stdout) {
		return errors.New("debug words: the words may quote messages, numbers and passwords: they are shown on a terminal, and go into no file or pipe")
	}
	c, err := admin.client()
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "what %s says, for %v; nothing of it is stored\n", *smsc+*relay, *long)
	if err := c.getLong(ctx, "/debug/words?"+query.Encode(), "application/x-ndjson", &wordPrinter{to: e.stdout}, maxWords, client.Timeout); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// maxWords bounds all that is shown, in octets.
const maxWords = 1 << 30

// maxWordLine bounds a line of the daemon's answer, in octets: rawwords.MaxOctets, escaped.
const maxWordLine = 8 * rawwords.MaxOctets

// wordPrinter prints lines of JSON, each a rawwords.Words, as text that does a terminal no harm.
type wordPrinter struct {
	to   io.Writer
	rest []byte // of a line
}

func (p *wordPrinter) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	for {
		line, rest, whole := bytes.Cut(p.rest, []byte("\n"))
		if !whole {
			break
		}
		p.rest = rest
		var w rawwords.Words
		if err := json.Unmarshal(line, &w); err != nil {
			return 0, fmt.Errorf("the answer is not of a straks: %w", err)
		}
		if err := p.print(w); err != nil {
			return 0, err
		}
	}
	if len(p.rest) > maxWordLine {
		return 0, errors.New("the answer is not of a straks: a line without end")
	}
	return len(b), nil
}

func (p *wordPrinter) print(w rawwords.Words) error {
	if w.Lost > 0 {
		fmt.Fprintf(p.to, "(%d lost: they came faster than they could be shown)\n", w.Lost)
	}
	if w.Kind == "" { // a sign of life
		return nil
	}
	for line := range strings.Lines(w.Text) {
		line = printable.Text(strings.TrimRight(line, "\r\n"))
		if _, err := fmt.Fprintf(p.to, "%s  %s  %s\n", w.At.Format("15:04:05.000"), printable.Text(w.Kind), line); err != nil {
			return err
		}
	}
	return nil
}
