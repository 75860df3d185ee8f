// Package inbox shows what the simulated carriers of the sandbox were given: a page for a
// developer to read, JSON for end-to-end tests, and buttons that make the carriers fail.
//
// The store is told of submits, receipts and mails by the callbacks of smsctest and
// relaytest. Nothing here is on the way of a message: without the inbox the sandbox's daemon
// works the same.
//
//	store.go     Inbox: the messages, within a bound; requests that wait for a change
//	message.go   a message, as JSON has it; which messages a reader asked for
//	sms.go       submits and receipts become an SMS, parts become one message
//	mail.go      a mail is taken apart
//	frame.go     Html of a mail, made fit for the frame that shows it
//	server.go    routes, headers, and which requests are refused
//	pages.go     the pages
//	json.go      JSON for tests
//	events.go    a page is told of changes
//	carriers.go  the conditions of the two carriers
//	orders.go    orders that a button places, and what became of them
//	verify.go    the page on which a person logs in by a code
//	logins.go    what is kept of each browser on that page
//
// # A page that shows what strangers wrote
//
// Texts go through html/template. Html of a mail is shown in a frame of its own address,
// whose answer has a Content-Security-Policy with sandbox: no script runs, no form is sent,
// nothing is loaded, and the document has an origin of its own, also when it is opened
// outside the frame. frame.go takes out what the policy would refuse noisily, and what no
// policy covers (preconnect and its like).
//
// # Other pages of the same browser
//
// The inbox has no password, and it listens where a browser reaches it. A page of the
// internet whose name is made to lead here (DNS rebinding) is refused by its Host. A form of
// another page is refused by its Origin or Sec-Fetch-Site (net/http's
// CrossOriginProtection). JSON has no CORS header, and no page can put ours into a frame.
//
// # Bounds
//
// Messages take Limit octets at most, and there are MaxMessages: the oldest go. There are
// bounds on readers that wait, on orders of buttons under way, on logins, and on the body of a request.
package inbox
