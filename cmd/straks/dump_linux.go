package main

import (
	"errors"
	"log/slog"
	"syscall"

	"golang.org/x/sys/unix"
)

// forbidDumps keeps the process's memory, which holds the texts of messages in flight and the carriers'
// passwords, out of core files, and from other processes of the same user: no core (also not through
// a pipe, core(5), which RLIMIT_CORE alone does not stop), no ptrace(2), no /proc/PID/mem. Root may
// still read it.
func forbidDumps(log *slog.Logger) {
	err := errors.Join(
		syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}),
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
	if err != nil {
		log.Warn("core files can't be forbidden: one would hold texts and passwords", "err", err)
	}
}
