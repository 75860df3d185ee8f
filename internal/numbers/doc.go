// Package numbers says which phone numbers an order may go to, and writes them as E.164.
//
// A number is valid when libphonenumber's metadata say so. The metadata lag behind the
// world's numbering plans, so two lists come before them: the operator's rules (Rules), and
// a dated table of our own (table.go). The longest prefix decides; of two rules with the same
// prefix, the one that refuses. Premium-rate, shared-cost and satellite numbers are refused, unless a rule allows them.
//
//	parse.go    spellings: what people and programs put between digits
//	rules.go    the operator's prefixes
//	table.go    ranges that the library has wrong, with date and source
//	refusal.go  valid numbers that get no SMS: denied ranges, costly types, and an organisation's countries
//	region.go   the country of a number
//	country.go  a short cut past libphonenumber's parser for numbers in plain E.164
package numbers
