package smtp

import (
	"context"
	"encoding/base64"
	"errors"
	"time"
)

// xoauth2 is the mechanism with which Google's and Microsoft's relays take an access token of OAuth 2.0. It has
// no RFC: https://developers.google.com/workspace/gmail/imap/xoauth2-protocol.
const xoauth2 = "XOAUTH2"

// maxAuthLine is the longest AUTH command, without its line end: AUTH has no longer line than other commands
// (RFC 4954 §4, RFC 5321 §4.5.3.1.4). What does not fit is sent after a 334.
const maxAuthLine = 510

// auth logs in (RFC 4954 §4): with PLAIN (RFC 4616); with LOGIN: the name, then the password, whatever the
// challenges say; or with XOAUTH2. There a 334 with the error is answered by an empty line, after which the
// relay refuses the login.
func (c *client) auth(ctx context.Context, by time.Time, mechanism, username, secret string) error {
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	var responses []string
	switch mechanism {
	case "PLAIN":
		responses = []string{encode("\x00" + username + "\x00" + secret)}
	case xoauth2:
		responses = []string{encode("user=" + username + "\x01auth=Bearer " + secret + "\x01\x01"), ""}
	default:
		responses = []string{encode(username), encode(secret)}
	}
	command := "AUTH " + mechanism
	if first := command + " " + responses[0]; mechanism != "LOGIN" && len(first) <= maxAuthLine {
		command, responses = first, responses[1:]
	}
	for {
		_, err := c.ask(ctx, by, 235, command)
		var challenge *reply
		if !errors.As(err, &challenge) || challenge.code != 334 || len(responses) == 0 {
			return err
		}
		command, responses = responses[0], responses[1:]
	}
}
