// Package console is the operator's console: pages that a browser shows, made on the server. They work without
// JavaScript, except that they then do not update by themselves.
//
// It knows no engine and no protocol: it says what it needs (Source), and internal/daemon gives it. Every answer
// forbids all that is not of this host (Content Security Policy), and nothing is inline. A recipient is in no URL: what is
// searched for is in the body of a POST.
//
//	request -> headers, cross-origin check, size   console.go
//	  session, role                                session.go, role.go
//	    page                                       pages.go, support.go, carrier.go, live.go
//	      template, language                       render.go, words.go
//
// # Who may do what
//
// A user has roles. Each of them lets a user look at states and counts; support adds messages, recipients and block
// lists, operate adds what changes a carrier. Logins are by password (bcrypt, one at a time, so that a flood of them does not
// take the processors from orders) or OpenID Connect. Failed ones are slowed, by address and by user. A user who does not
// exist takes as long as one who does.
//
// Each login, look-up and action is one line of the log, with who, what, the outcome and why.
//
// # Files
//
//	console.go   Config, New: the routes
//	need.go      what the console needs
//	model.go     what the pages show
//	role.go      users and roles
//	users.go     passwords
//	throttle.go  failed logins
//	session.go   sessions and cookies
//	login.go     login, logout, language
//	oidc.go      login by OpenID Connect
//	audit.go     the lines of the log
//	pages.go     Now and Organisations
//	support.go   Find, Message, Blocked
//	carrier.go   Carrier, and what changes one
//	live.go      the stream that updates pages
//	render.go    templates and their functions
//	format.go    times, sizes and numbers
//	plot.go      counts over time as SVG
//	sentence.go  what became of a message, in a sentence
//	words.go     every text, in both languages
//	statuses.go  what each status means
package console
