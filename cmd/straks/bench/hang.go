package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// hang has the disk hang under the daemon, and offers half of the peak meanwhile. So the queue in front
// of the journal is full, and the processors are not: what a refusal takes then is the daemon's doing alone.
// The orders that are in the queue before anybody can know of it wait for two seconds (orders: acceptWait),
// and are not in Phase.Steady and Phase.Served.
//
// The folder is the root of a file system of its own: all who write there hang with it.
func (o *overload) hang(ctx context.Context, peak float64, d time.Duration) (p Phase, err error) {
	if err := fsfreeze("--freeze", o.folder); err != nil {
		return Phase{}, err
	}
	defer func() { err = errors.Join(err, fsfreeze("--unfreeze", o.folder)) }()
	return o.phase(ctx, "hangs, half", overloadClients, peak/2, d)
}

// mounted refuses a folder whose file system others may need.
func mounted(folder string) error {
	var here, above syscall.Stat_t
	if err := errors.Join(syscall.Stat(folder, &here), syscall.Stat(folder+"/..", &above)); err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	if here.Dev == above.Dev {
		return fmt.Errorf("%s lies in the file system of the folder above: mount one of its own there, since nobody can write while it is frozen", folder)
	}
	return nil
}

func fsfreeze(how, folder string) error {
	if out, err := exec.Command("fsfreeze", how, folder).CombinedOutput(); err != nil {
		return fmt.Errorf("fsfreeze %s %s: %w: %s", how, folder, err, out)
	}
	return nil
}
