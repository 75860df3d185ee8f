// Package clientcert finds out for whom a TLS client certificate stands.
//
//	authority.go   certificates of authorities, read from their files
//	revoked.go     lists of revoked certificates (CRLs)
//	subject.go     distinguished names, as texts
//	rule.go        which certificates stand for which organisation
//	chain.go       whether a certificate is good now
//	verifier.go    the whole: it follows the files, and keeps outcomes
//	metrics.go     when certificates of authorities and lists end
//
// # Who vouches for whom
//
// An authority is shared, or of one organisation. One of an organisation vouches for that organisation alone. A
// shared one vouches for those that have none of their own. A chain in which authorities of two of these kinds occur
// is refused. So an organisation's authority that a shared one has signed still vouches for that organisation alone.
//
// Every certificate in the files of an authority is trusted as it is, also one that another has signed.
//
// # Revocation
//
// Where an authority has lists, the authority that issued a client's certificate must have one; of those above it,
// lists are used where there are some. A list counts only with the signature of the authority that it names. One in the
// files that has another signature makes the files unusable, so that those read before stay in use.
//
// A list is out of date when its nextUpdate has passed. What it revokes stays revoked. Other certificates stay
// good for the grace time, which is logged; then they are refused until there is a new list.
//
// # When it is checked
//
// Nothing is checked in the handshake but that the client has the key: there, a client would not learn why it is
// refused. Certificates are checked at each request, so neither a connection that stays open nor a session that is
// resumed (RFC 8446 §2.2) lets in a certificate that was revoked meanwhile. Outcomes are kept, bounded in
// number, until a file changes or a time passes that they depend on.
package clientcert
