//go:build unix

package examples

import (
	"os/exec"
	"syscall"
)

// ownGroup gives a command a process group of its own: "go run" starts another process.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
