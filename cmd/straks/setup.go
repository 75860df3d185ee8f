package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"straks/internal/config"
	"straks/internal/daemon"
	"straks/internal/faults"
	"straks/orders/bolt"
)

// defaultConfig is where the systemd unit and the packages of distributions put the
// configuration.
const defaultConfig = "/etc/straks/straks.toml"

// configFlag adds the flag of every command that reads the configuration.
func (f *flags) configFlag() *string {
	return f.String("config", defaultConfig, "configuration `file`")
}

// initCommand creates the journal. "serve" does not: an empty journal has forgotten
// all idempotency keys.
func initCommand(_ context.Context, args []string, e env) error {
	fs := newFlags("init [-config FILE] [-feed-start N]")
	path := fs.configFlag()
	feedStart := fs.Uint64("feed-start", 0, "the `number` above which each organisation's feed begins: the highest that a client may still hold as its cursor, from another service or journal")
	if _, err := fs.parse(args, e); err != nil {
		return err
	}
	if *feedStart > bolt.MaxFeedStart {
		return misused("init: -feed-start must be %d at most: higher numbers are not exact in the JSON of every client", bolt.MaxFeedStart)
	}
	cfg, _, err := config.LoadSealed(*path)
	if err != nil {
		return err
	}
	if err := daemon.CreateJournal(cfg, *feedStart); err != nil {
		return err
	}
	begins := ""
	if *feedStart > 0 {
		begins = fmt.Sprintf("; the numbers of each feed begin above %d", *feedStart)
	}
	where := cfg.Journal.Path
	if cfg.Journal.Shared() {
		where = "in the database"
	}
	_, err = fmt.Fprintf(e.stdout, "created the journal %s%s\n", where, begins)
	return err
}

// tokenPrefix lets secret scanners recognise our tokens.
const tokenPrefix = "straks_"

// tokenCommand makes a token of 256 random bits. The configuration has its digest
// only: a lost token is replaced.
func tokenCommand(_ context.Context, args []string, e env) error {
	fs := newFlags("token new -org ORG [-name NAME] [-expires DATE] [-scopes SCOPE,…]")
	org := fs.String("org", "", "organisation of the token")
	name := fs.String("name", "", "name of the token in logs (default \"token-\" and today's date)")
	expires := fs.String("expires", "", "when it expires: 2027-01-31, or an RFC 3339 time; empty means never")
	scopes := fs.String("scopes", "create", "what it may be used for: create, read, support; several with commas")
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
			return misused("token: %q is not a name: letters, digits, '.', '-' and '_' only, 64 at most", s)
		}
	}
	for _, s := range strings.Split(*scopes, ",") {
		if !slices.Contains(config.TokenScopes(), s) {
			return misused("token: -scopes %q: no scope is called %q; there are %s", *scopes, s, strings.Join(config.TokenScopes(), ", "))
		}
	}
	end, err := parseExpiry(*expires, now)
	if err != nil {
		return err
	}
	return printToken(e, newToken(), *org, *name, end, strings.Split(*scopes, ","))
}

func newToken() string {
	var secret [32]byte
	rand.Read(secret[:]) // never fails, by its documentation
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
}

// printToken prints the token alone on the first line and its stanza after it, as
// comments and TOML, so that a script can cut out either.
func printToken(e env, token, org, name string, end time.Time, scopes []string) error {
	stanza := fmt.Sprintf("[[organisation.token]] # under the [[organisation]] named %q\nname = %q\nsha256 = \"%x\"\n",
		org, name, sha256.Sum256([]byte(token)))
	if !end.IsZero() {
		stanza += "expires = " + end.UTC().Format(time.RFC3339) + "\n"
	}
	if !slices.Equal(scopes, []string{"create"}) {
		stanza += fmt.Sprintf("scopes = [\"%s\"]\n", strings.Join(scopes, `", "`))
	}
	_, err := fmt.Fprintf(e.stdout, "%s\n\n# The line above is the token. It is shown only once: give it to the client.\n"+
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
