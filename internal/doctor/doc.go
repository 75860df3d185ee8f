// Package doctor looks at what lies outside of straks and decides whether mails and SMS arrive: the DNS
// records of our domains, the relays, the SMSCs, the clock. "straks doctor" prints what it finds. Nothing of
// it happens while messages are sent.
//
// A [Finding] is data: what was looked at, how it is, and, where that is not right, the line to publish in the
// DNS, to write into the configuration or to run, word for word.
//
//	Plan -> checks, all at the same time, each with a bound -> Findings in the order of the plan
//
// Nothing that is right is called wrong because a look-up failed: that is Unknown, with the cause.
//
// # The DNS
//
// The client is miekg/dns rather than net.Resolver. net.Resolver reads /etc/hosts, which the receivers of our
// mails don't have; it does not tell a name that is missing from one without the record; and it hides aliases
// and answer codes, which is what the operator needs to know. SPF of an address is evaluated by
// blitiri.com.ar/go/spf and DMARC is read by go-msgauth; parsing SPF here only serves to name the term that is
// wrong and to count look-ups.
//
// # Files
//
//	finding.go  what a check returns
//	plan.go     what is looked at
//	run.go      all checks, at the same time
//	resolver.go questions to DNS servers
//	zone.go     records as lines of a zone file
//	spf.go      SPF of the domain of the return path
//	spfterms.go the terms of an SPF record, and their look-ups
//	dkim.go     DNS records of our keys
//	dmarc.go    DMARC of a sender's domain, and what is aligned
//	mx.go       the way of reports to our listener
//	relay.go    TLS, login, extensions and return path at a relay
//	smsc.go     binds
//	clock.go    the clock
package doctor
