// Package connlimit bounds the open connections of an http.Server, and closes idle ones
// when they run short. Accept never stops: a connection beyond a bound takes the place of an
// idle one, or is closed at once.
//
//	limits := connlimit.New(connlimit.Limits{Open: 64}, log)
//	limits.Attach(srv)
//	srv.Serve(limits.Listener(ln)) // or tls.NewListener(limits.Listener(ln), conf)
//
// # Which connection is closed
//
// A connection is idle, for this purpose, until it has a request with a good token under
// way (Authorized). So a connection in its TLS handshake is idle, and one whose header does not
// end, and one that does not read the answer to a request without a token. Idle connections are
// closed in this order, of each kind the oldest first:
//
//	anonymous   had a request without a good token, since that request
//	fresh       had no request yet, since it was accepted (HTTP/2: since its preface)
//	authorized  has shown a good token, since the last octet that came from the client
//
// While there are at most an eighth of the bound, fresh connections are closed after
// authorized ones: else a few clients that connect at the same time would close each other's
// connections where all others are idle. The oldest fresh connection has then had the time
// in which an eighth of the bound was accepted.
//
// When only connections with requests under way are left, the new one is closed at once. It
// does not wait: the bound is far above what is answered at a time, so a wait would only lengthen
// a queue that nobody sees, and the client can try again, or elsewhere, at once.
//
// # A request that meets the closing
//
// A client may send a request at the moment at which its idle connection is closed (RFC 9112
// §9.5). That request surely has no effect:
//
//   - An authorized connection with octets that were not read yet is not closed.
//   - No octet is read from a connection after it was chosen to be closed (conn.Read).
//   - Authorized reports false if the connection was closed after the request was read. The
//     handler must then end without an effect.
//
// The client gets no answer, and repeats the request. A GOAWAY (RFC 9113 §6.8), after which
// some clients repeat it by themselves, is not sent: net/http can send one for all its
// connections, or with an answer, but not on a single idle connection.
//
// # Addresses
//
// An address is an IPv4 address, or the /64 of an IPv6 address. Beyond its bound the address's own
// idle connections make room, so that a client that leaks connections, or guesses
// tokens, harms only clients at the same address: and those hardly, since theirs are closed
// last. While one of its connections has shown a good token, an address has a larger bound: it
// may be a reverse proxy or a NAT. Nothing is kept about an address without connections.
//
// # Files
//
//	connlimit.go    Limiter: accepting, and the states of net/http
//	choice.go       which connection is closed
//	address.go      addresses
//	metrics.go      metrics
//	pending_*.go    whether there are octets that were not read
package connlimit
