package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"straks/internal/faults"
)

// tokenPrefix lets a secret scanner know one of our tokens where it should not be.
const tokenPrefix = "straks_"

// tokenCommand makes a token of 256 random bits. Only its digest is ever
// written down by us: who loses the token makes another.
func tokenCommand(_ context.Context, args []string, e env) error {
	fs := newFlags("token new -org ORG [-name NAME] [-expires DATE]")
	org := fs.String("org", "", "organisation that the token speaks for")
	name := fs.String("name", "", "what logs call the token (default \"token-\" and today's date)")
	expires := fs.String("expires", "", "when it ends: 2027-01-31, or an RFC 3339 time; empty means never")
	operands, err := fs.parse(args, e, "new")
	if err != nil {
		return err
	}
	now := time.Now()
	if operands[0] != "new" {
		return misused("token: what is %q? usage: straks %s", operands[0], fs.synopsis)
	}
	if *org == "" {
		return misused("token: -org is missing; usage: straks %s", fs.synopsis)
	}
	if *name == "" {
		*name = "token-" + now.Format("2006-01-02")
	}
	for _, s := range []string{*org, *name} {
		if !faults.ValidName(s) {
			return misused("token: %q is no name: letters, digits, '.', '-' and '_' only, 64 at most", s)
		}
	}
	ends, err := parseExpiry(*expires, now)
	if err != nil {
		return err
	}
	return printToken(e, newToken(), *org, *name, ends)
}

func newToken() string {
	var secret [32]byte
	rand.Read(secret[:]) // never fails, by its documentation
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
}

// printToken puts the token alone on stdout's first line and the stanza after
// it, as comments and TOML, so that either can be cut out by a script.
func printToken(e env, token, org, name string, ends time.Time) error {
	stanza := fmt.Sprintf("[[organisation.token]] # under the [[organisation]] named %q\nname = %q\nsha256 = \"%x\"\n",
		org, name, sha256.Sum256([]byte(token)))
	if !ends.IsZero() {
		stanza += "expires = " + ends.UTC().Format(time.RFC3339) + "\n"
	}
	_, err := fmt.Fprintf(e.stdout, "%s\n\n# The line above is the token. It is shown this once; give it to the client.\n"+
		"# For the configuration:\n\n%s", token, stanza)
	return err
}

// parseExpiry reads a time, or a date: the first moment of that day in UTC.
func parseExpiry(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.Parse(time.DateOnly, s)
	}
	switch {
	case err != nil:
		return time.Time{}, misused("token: -expires %q is neither a date like 2027-01-31 nor an RFC 3339 time", s)
	case !t.After(now):
		return time.Time{}, misused("token: -expires %s has passed already", s)
	}
	return t, nil
}
