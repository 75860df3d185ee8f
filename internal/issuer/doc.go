// Package issuer verifies JSON web tokens (RFC 7519) by the public keys of the party that
// issues them. It says what a token claims, and not what its bearer may do.
//
//	token --Verify--> Claims
//	          ^
//	        keys <-- keyring <-- JWKS URL, discovery document, or file
//
// The files:
//
//	issuer.go    Issuer: a token becomes claims, or an error with its reason
//	claims.go    the claims of a token, and single ones by their names
//	keyring.go   the keys of an issuer: which are tried, how long they are kept
//	refresh.go   when the keys are read again
//	fetch.go     reading keys over HTTPS (RFC 8414, RFC 7517), or from a file
//	saved.go     keys that outlive a restart
//	metrics.go   straks_issuer_*
//
// # What is accepted
//
// The compact form of RFC 7515 §7.1, signed by RS256, PS256, ES256 or EdDSA. Any other
// algorithm, "none" and HMAC among them, is refused before a key is looked for. A key
// verifies the algorithm that it is for and no other (RFC 8725 §3.1): RSA of 2048 bits or
// more, P-256, Ed25519. Keys and URLs in the token's own header (jwk, jku, x5c, x5u) are
// never used.
//
// A token must have iss, equal to the issuer's name, and exp. nbf and iat count where they
// are there. A few seconds of leeway allow for clocks that differ. Where audiences
// are configured, aud must have one of them.
//
// # Outages of the issuer
//
// Keys are read every ten minutes, and at once when a token names a key that is not known:
// but not more often than every ten seconds, since anybody can write a token. Where they can't be
// read, the last ones stay in force for a day, after a restart too. After that day no token can
// be checked, and callers get an error that says so.
package issuer
