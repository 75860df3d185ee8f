package nodes

import "syscall"

// attributes are those of a node's process: it ends with this one, and Ctrl-C in a terminal is for this one alone.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
