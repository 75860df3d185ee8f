package main

import (
	"fmt"
	"io"

	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// print tells a person where everything is, and how to begin.
func (sb *sandbox) print(w io.Writer) {
	fmt.Fprintf(w, `The sandbox is ready. Nothing leaves this machine. Ctrl-C ends it.

  export STRAKS_URL=%s
  export STRAKS_TOKEN=%s

  Inbox   %-*s   shows every SMS and mail, sends the first one, and makes the carriers fail
  API     %s   its calls, to try in a browser

Messages to phone numbers that end like this fail, each in its own way:

`, sb.BaseURL, sb.Token, len(sb.Docs), sb.Inbox, sb.Docs)
	for _, e := range smsctest.Endings() {
		fmt.Fprintf(w, "  …%s  %s\n", e.Suffix, e.What)
	}
	fmt.Fprint(w, "\nSo do mails to these, at any domain (nosuch+1@ is like nosuch@, and not suppressed with it):\n\n")
	relay := relaytest.Sandbox()
	for _, r := range relay.Recipients() {
		fmt.Fprintf(w, "  %-12s %s\n", r.Local+"@", r.What)
	}
	fmt.Fprintf(w, "\nEverybody else gets their messages, like +4799999999. %s%s is the token of an organisation that may place one order in five seconds (429).\n", "$STRAKS_TOKEN", limitedSuffix)
}
