// Package inbound receives the reports that mail servers send about our mails: an SMTP server on TCP, and LMTP
// on a unix socket for an MTA of this machine. Both are go-smtp's server, with what that server leaves
// open closed here.
//
// # What is taken
//
// Any sender, the null sender too. One recipient for each mail:
//
//	b+TOKEN@<domain>         a report about the shipment of the token (package returnpath)
//	postmaster@, abuse@      forwarded to the operator, where there is one; else refused
//	the plain return path    LMTP only, where there is no domain: a report without a token
//	any other                550, at RCPT: nothing is relayed, and nothing is bounced later
//
// A mail gets 250 when Handler has stored it, and 451 when it could not. So what was not stored stays with its
// sender. Nothing is queued here.
//
// # What a peer can do
//
// A peer that does nothing, or everything slowly, holds a connection for Limits.Command, Limits.Body or Limits.Lifetime at
// most. Beyond Limits.Connections or PerAddress the oldest connection without a recipient of ours is closed
// for a new one (internal/connlimit). Octets are counted: those of commands on each connection, those of each
// mail, and those of all mails together. An address that names recipients which do not exist, or connects for nothing, is
// refused for a while (peers.go).
//
// go-smtp ends a mail at CRLF "." CRLF alone, so a lone CR or LF ends none (SMTP smuggling). It drops what a
// client sends in clear after STARTTLS. After an error in the body it would read the rest of the body
// as commands: the connection is closed here. It takes a connection that ends within a chunk of BDAT for the
// end of the chunk: session.go finds that out.
//
// # Files
//
//	config.go       the configuration and its limits
//	server.go       Server: its listeners, and its end
//	session.go      one dialogue, behind go-smtp's
//	recipient.go    which recipients there are
//	body.go         a mail in memory, and the bound of all of them
//	conn.go         one connection: its deadlines and octets
//	peers.go        what an address may do in a time
//	certificate.go  the certificate, which is read again when its file changes
//	loop.go         mails to the postmaster that come back
//	submit.go       the other end of LMTP: gives a mail to the socket
//	metrics.go      straks_mail_*
package inbound
