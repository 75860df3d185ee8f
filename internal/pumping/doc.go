// Package pumping looks for orders that somebody places to earn at them: people who have a range of phone numbers, and a share
// of what messages to them cost, make a login page send codes there (artificially inflated traffic).
//
//	detector.go  Config, Detector: Take, Settled, Outcome; a judgement each minute
//	judge.go     what a jump is
//	unit.go      what is counted of a prefix or a country, now and in the past
//	replay.go    the past, from the journal
//	alarm.go     alarms: their end, and operators who lift them
//	metrics.go   metrics
//
// # What is counted
//
// For each organisation, by country, and by prefix: country code and three digits of the national number. Of each the
// orders of the last hour in parts of five minutes, and of the seven days before by day, with the highest hour of each
// day. And likewise the codes that were delivered or not, and used or not (Outcome, of package codes). An organisation has
// at most maxUnits prefixes: further ones count for their country alone.
//
// # What raises an alarm
//
// An hour against the trailing week; nothing is judged before there is a day of it. See judge.go for the numbers.
//
//	share        many orders, a multiple of the highest hour of the week and of the usual share of all orders. Only
//	             where the country has little of the traffic as a rule: at home, a campaign to one city looks the same
//	undelivered  most codes are not delivered (or: not used), far more than before, while orders increase. Not where
//	unused       those to other prefixes fare as badly: that is a carrier's fault
//
// All orders may increase (Monday morning): shares stay. Small numbers raise no alarm. What is counted during an alarm is
// no past to compare with.
//
// # Restarts
//
// Replay plays the orders of the week again from the journal, alarms included: so an alarm, and what is stopped, begins
// again as it was. Which codes were used, and what operators have lifted, is not in the journal: a lifted alarm can come
// back.
package pumping
