package daemon

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// freeOctets returns how much of the disk with the file this process may still use.
func freeOctets(path string) (int64, bool) {
	var st unix.Statfs_t
	if unix.Statfs(filepath.Dir(path), &st) != nil {
		return 0, false
	}
	return int64(st.Bavail) * st.Bsize, true
}
