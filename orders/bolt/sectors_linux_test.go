package bolt

import (
	"maps"
	"math/rand/v2"
)

// sectors is a disk of which the power can be cut: it keeps what was synced, and
// of the rest what chance wants. A file's length and octets are kept by its own
// sync, its name by that of the folder (fsync(2)).
type sectors struct {
	names   map[string]*inode   // as programs see them
	kept    map[string]*inode   // as they were when the folder was synced
	renames []map[string]*inode // each change of names since
}

// inode is a file: what is kept of it, and what was written since.
type inode struct {
	kept  []byte
	since []op
}

func newSectors() *sectors {
	return &sectors{names: make(map[string]*inode), kept: make(map[string]*inode)}
}

// add puts a file on the disk, synced.
func (s *sectors) add(name string, data []byte) {
	n := &inode{kept: append([]byte(nil), data...)}
	s.names[name], s.kept[name] = n, n
}

// do does what a program did.
func (s *sectors) do(o op) {
	switch o.call {
	case "pwrite64", "ftruncate":
		n := s.names[o.file]
		n.since = append(n.since, o)
	case "fdatasync":
		if o.file == "." {
			s.kept, s.renames = maps.Clone(s.names), nil
			return
		}
		n := s.names[o.file]
		for _, o := range n.since {
			n.kept = o.apply(n.kept, len(o.data))
		}
		n.since = nil
	default:
		s.rename(o)
		s.renames = append(s.renames, maps.Clone(s.names))
	}
}

// synced reports whether a cut leaves everything as it is.
func (s *sectors) synced() bool {
	for _, n := range s.names {
		if len(n.since) > 0 {
			return false
		}
	}
	return len(s.renames) == 0
}

// rename changes the names in the folder.
func (s *sectors) rename(o op) {
	switch o.call {
	case "creat":
		if s.names[o.file] == nil {
			s.names[o.file] = &inode{}
		}
	case "link":
		s.names[o.to] = s.names[o.file]
	case "rename":
		s.names[o.to] = s.names[o.file]
		delete(s.names, o.file)
	case "unlink":
		delete(s.names, o.file)
	}
}

// cut returns the file that has the name after a power cut, if any. keep says of
// each call that was not synced whether it is on disk; writes may be torn. Names
// change in the order in which they did.
func (s *sectors) cut(name string, keep func() bool, dice *rand.Rand) (data []byte, there bool) {
	names := s.kept
	for _, later := range s.renames {
		if !keep() {
			break
		}
		names = later
	}
	n := names[name]
	if n == nil {
		return nil, false
	}
	data = append([]byte(nil), n.kept...)
	for _, o := range n.since {
		switch {
		case keep():
			data = o.apply(data, len(o.data))
		case keep() && dice.IntN(2) == 0:
			data = o.apply(data, 512*dice.IntN(len(o.data)/512+1))
		}
	}
	return data, true
}

// apply returns the file with the first n octets of a write, or at its new length.
func (o op) apply(file []byte, n int) []byte {
	length := int(o.off) + n
	if o.call == "ftruncate" {
		length = int(o.off)
		file = file[:min(len(file), length)]
	}
	if length > len(file) {
		file = append(file, make([]byte, length-len(file))...)
	}
	copy(file[o.off:], o.data[:n])
	return file
}
