// Package cost is amounts of money and the table of prices. It knows no orders: orders count what it says.
//
//	amount.go  Amount: exact, in millionths of the currency's unit
//	table.go   Table: the price of a part by SMSC and prefix
package cost
