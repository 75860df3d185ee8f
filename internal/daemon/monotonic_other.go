//go:build !linux

package daemon

import "time"

// monotonic is for systemd, which there is not.
func monotonic() time.Duration { return 0 }
