//go:build !linux

package smsctest

func reserve(addr string) (bound string, release func(), err error) { return reservePlain(addr) }
