//go:build !unix

package pemfile

import "io/fs"

// inode returns nil: time and size must do.
func inode(fs.FileInfo) any { return nil }
