// Package smpp keeps binds to SMSCs and hands short messages over to them.
package smpp
