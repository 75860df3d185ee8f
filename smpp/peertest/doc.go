// Package peertest is an SMSC that a test plays by hand, PDU by PDU, for the tests of
// packages smpp and session. The one with a will of its own is package smsctest.
//
//	peer.go         a Peer: reads and writes PDUs; waits that are bounded
//	certificate.go  a certificate for TLS
package peertest
