// Package forward hands a request for an order to another node, before anything of it is stored. A node that has no bind
// for the message's route, and no relay, does so; the node that has one does everything, and its answer is passed
// through.
//
//	node A                                            node B
//	api: token, body, faults, rate
//	Client.Forward  --- TLS, both certificates ---->  Accept: whose certificate, which caller
//	                                                  api: body, faults, Place; never on to a third node
//	answer          <-------------------------------
//
// # Who is calling
//
// A node that forwards says who its caller is, in one header (Caller). It is believed on the peers' listener only, where
// a connection needs a certificate of the cluster's own authority that is both a server's and a client's. The API's
// listener does not read the header: a client can put anything there. The caller then travels in the
// request's context, which nothing from outside can set.
//
// # What an error says
//
//	ErrNone   no live node has a bind for the message, or none could be reached: nothing was sent, and
//	          the order may be placed here
//	ErrBroken the request may have arrived: nothing is known. To repeat it with its key is safe
//
// A node that has only just died is still asked, until its lease has ended. The connection is refused, or the
// handshake takes too long, and the next node is asked. One that has the request is waited for until Config.Timeout.
//
//	client.go  Client: which node, and the request to it
//	accept.go  Accept: the other end
//	caller.go  Caller, and its header
//	metrics.go what came of it
package forward
