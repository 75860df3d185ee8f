//go:build unix

package pemfile

import (
	"io/fs"
	"syscall"
)

// inode returns what distinguishes a file from one that took its place.
func inode(info fs.FileInfo) any {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return nil
}
