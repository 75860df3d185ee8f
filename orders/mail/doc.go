// Package mail is the e-mail channel: it stands between orders and smtp, which
// know nothing of each other. A mail has one part, which is known by its shipment:
// its id is in the Message-ID.
//
//	channel.go  Channel: messages become mails, replies become hand-overs
//	returnpath.go  ReturnPaths: where reports about a mail come back
//	forward.go  mails to the operator
//	inbound.go  reports that arrive by mail become statuses
//	wait.go     how long reports are waited for, and what their absence means
//	metrics.go  straks_mail_reports_total
package mail
