// Package interop holds tests of smpp against other implementations, and nothing else.
//
//	smpp.Gateway --- node/smsc.js            node-smpp as SMSC, under Node
//	node/esme.js --- smsctest.SMSC           node-smpp as client of the simulator
//	smpp.Gateway --- tap --- smsctest.SMSC   the octets at the tap, read by Wireshark's dissector
//
// A test skips, with the reason, if its program is not installed; the script
// .ci/interop-deps installs it. Tests of our gateway against our simulator prove less: the
// same misreading of SMPP 3.4 could be in both.
//
// The files:
//
//	peer_test.go     runs a program of folder node
//	node_test.go     the gateway against node-smpp
//	esme_test.go     node-smpp against the simulator
//	gateway_test.go  runs a gateway
//	capture_test.go  the tap, and its record as a pcap file
//	dissect_test.go  Wireshark over that file
//	session_test.go  every PDU of a session, dissected
//	submit_test.go   every form of a submit_sm, dissected
package interop
