package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"straks/internal/daemon"
	"straks/internal/daemon/daemontest"
	"straks/internal/disktest"
)

// diskFault is a fault of the disk under a running daemon.
type diskFault struct {
	reason string // on /readyz
	flaky  bool   // some writes succeed
	pages  bool   // writes succeed while the journal has free pages, which need no new space
	closed bool   // reads may fail too

	mount func(*daemontest.World) string                           // mounts a file system for the journal; nil: the test's folder
	begin func(t *testing.T, p *process, disk string) (end func()) // disk is what mount returned
}

// diskFaults are the faults of TestFaultyDisk. Where no file system can be made to have
// one, strace injects it into system calls (--inject, strace(1)).
var diskFaults = map[string]diskFault{
	"full": {reason: "no space left on device", pages: true, mount: smallDisk,
		begin: func(t *testing.T, _ *process, disk string) func() {
			ballast := fillDisk(t, disk)
			return func() { os.Remove(ballast) }
		}},
	"read-only":              {reason: "read-only file system", begin: injected("pwrite64,ftruncate", "error=EROFS")},
	"writes fail":            {reason: "input/output error", begin: injected("pwrite64,ftruncate", "error=EIO")},
	"syncs fail":             {reason: "input/output error", closed: true, begin: injected("fdatasync,fsync", "error=EIO")},
	"every other sync fails": {reason: "input/output error", flaky: true, closed: true, begin: injected("fdatasync,fsync", "error=EIO:when=2+2")},
	"every sync takes 1 s":   {reason: "slow disk", flaky: true, begin: injected("fdatasync,fsync", "delay_enter=1000000")},
	"syncs hang":             {reason: "slow disk", begin: injected("fdatasync,fsync", "delay_enter=600000000")},
	"frozen": {reason: "slow disk", mount: blockDisk,
		begin: func(t *testing.T, _ *process, disk string) func() {
			tool(t, "fsfreeze", "-f", disk)
			thawed := false
			thaw := func() {
				if !thawed {
					thawed = true
					tool(t, "fsfreeze", "-u", disk)
				}
			}
			t.Cleanup(thaw) // a frozen file system can't be unmounted
			return thaw
		}},
}

// injected makes system calls of the process behave as told until end.
func injected(calls, what string) func(*testing.T, *process, string) func() {
	return func(t *testing.T, p *process, _ string) func() {
		t.Helper()
		strace, err := exec.LookPath("strace")
		if err != nil {
			t.Skip("strace is not installed")
		}
		tracer := exec.Command(strace, "-f", "-o", "/dev/null", "-e", "trace="+calls, "-e", "inject="+calls+":"+what, "-p", fmt.Sprint(p.cmd.Process.Pid))
		tracer.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
		stderr, err := tracer.StderrPipe()
		if err == nil {
			err = tracer.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stderr)
		if !lines.Scan() || !strings.Contains(lines.Text(), "attached") {
			t.Fatalf("strace: %s", lines.Text())
		}
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			for lines.Scan() {
			}
		}()
		return func() {
			tracer.Process.Signal(syscall.SIGTERM) // it detaches, and its delays end
			<-drained
			tracer.Wait()
		}
	}
}

// smallDisk puts a new journal on a file system of 16 MiB.
func smallDisk(w *daemontest.World) string {
	return ownDisk(w, func(dir string) error { return syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m") })
}

// blockDisk puts a new journal on a file system of a block device that can be frozen:
// writes then hang in the kernel, as on a disk that is gone.
func blockDisk(w *daemontest.World) string {
	return ownDisk(w, disktest.BlockDevice(w.T, filepath.Join(w.Dir, "image"), 64<<20))
}

// ownDisk puts a new journal on a file system that mount puts at a directory.
func ownDisk(w *daemontest.World, mount func(dir string) error) string {
	w.T.Helper()
	disk := filepath.Join(w.Dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		w.T.Fatal(err)
	}
	disktest.Mount(w.T, disk, mount)
	w.EditConfig(filepath.Join(w.Dir, "journal.db"), filepath.Join(disk, "journal.db"))
	if err := daemon.CreateJournal(w.Config(), 0); err != nil {
		w.T.Fatal(err)
	}
	return disk
}

// fillDisk fills the file system, and returns the file that does.
func fillDisk(t *testing.T, disk string) string {
	t.Helper()
	f, err := os.Create(filepath.Join(disk, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			return f.Name()
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}
