//go:build !linux

package postgres

import "time"

// bootTime is the wall clock, which goes on while the machine sleeps.
func bootTime() time.Duration { return time.Duration(time.Now().UnixNano()) }
