//go:build !linux

package daemon

import "net"

// socketUser is not known: there is no SO_PEERCRED.
func socketUser(*net.UnixConn) string { return "" }
