// Package sms is the SMS channel: it stands between orders and smpp, which know
// nothing of each other, and between orders and dlr.
//
//	orders.Message -> smpp.Message    Channel.Send
//	smpp.Result    -> orders.Handover
//	deliver_sm     -> dlr.Receipt     -> orders.Report, acknowledged when it is on disk
//	               -> stop word       -> orders.Block, likewise
//
// Parts of a receipt are joined before it is read (join.go).
//
// Its files:
//
//	channel.go  Config, Channel, and the life of a message up to its hand-over
//	answer.go   submit_sm_resp, in time or late: references, refusals, parts
//	price.go    what a message costs
//	receipt.go  deliver_sm and data_sm: receipts become reports
//	tally.go    what receipts said, counted for operators
//	errors.go   error codes of receipts, counted
//	join.go     receipts that come in several parts; when a part is acknowledged
//	inbound.go  messages from phones: stop and start words
package sms
