// Package mtatest starts mail servers of Debian for tests, as relays: Postfix, Exim, OpenSMTPD and sendmail. What they
// write is what real servers write. Each runs from a folder of its own, takes mails from loopback, and knows two ways:
// mails for the domain of return paths go to our listener, all others to a server that the test plays.
//
// Debian installs one of them only, since they exclude each other. .ci/mail-deps unpacks the others into Folder.
// Where a server is not there, or the test does not run as root, the test is skipped.
//
//	mtatest.go   Server, and what all have in common
//	postfix.go   Postfix
//	exim.go      Exim
//	opensmtpd.go OpenSMTPD
//	sendmail.go  sendmail
package mtatest
