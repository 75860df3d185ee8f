// Package interop holds tests of smpp against programs by other hands, and
// nothing else.
//
//	smpp.Gateway --- node/smsc.js            node-smpp as SMSC, under Node
//	node/esme.js --- smsctest.SMSC           node-smpp as client of the simulator
//	smpp.Gateway --- tap --- smsctest.SMSC   what passes the tap, read by Wireshark's dissector
//
// All skip, with the reason, where their program is not installed; the script
// .ci/interop-deps installs it. What our own simulator says of our own
// gateway is worth less: the same misreading of SMPP 3.4 could be in both.
package interop
