//go:build !linux

package pgcluster

import (
	"fmt"
	"os"
	"syscall"
)

// account is the user that servers run as: here, this process's own.
type account struct{}

func serverUser() (*account, error) {
	return nil, fmt.Errorf("%w: servers can be killed and frozen on Linux only", ErrMissing)
}

func (a *account) attributes() *syscall.SysProcAttr { return nil }

func (a *account) own(string) error { return nil }

func children(int) []int { return nil }

func runs(int) bool { return false }

func signal(pid int, s syscall.Signal) {
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Signal(s)
	}
}

const (
	sigStop = syscall.SIGTERM
	sigCont = syscall.SIGTERM
	sigKill = syscall.SIGKILL
	sigInt  = syscall.SIGINT
	sigHup  = syscall.SIGHUP
)
