package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	prefix  = "audit-"
	suffix  = ".jsonl"
	dayForm = "2006-01-02"
)

// nameOf returns the name of the file of a day.
func nameOf(day string) string { return prefix + day + suffix }

// dayOf returns the day of a file of the audit.
func dayOf(name string) (time.Time, bool) {
	day, found := strings.CutPrefix(name, prefix)
	day, ends := strings.CutSuffix(day, suffix)
	t, err := time.Parse(dayForm, day)
	return t, found && ends && err == nil
}

// list returns the names of the audit's files, the oldest first.
func list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if _, ok := dayOf(e.Name()); ok {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// files are the files of the audit. One goroutine uses them.
type files struct {
	Config
	now  func() time.Time
	end  link
	open *os.File // of day; nil before the first line
	day  string
	size int64 // of open: octets of whole lines
	dirty,
	torn bool // open may have octets beyond size
}

// resume finds the end of the chain. The events say what was wrong with it.
func (f *files) resume() ([]Event, error) {
	names, err := list(f.Dir)
	if err != nil {
		return nil, fmt.Errorf("audit.dir: %w", err)
	}
	var found []Event
	for _, name := range slices.Backward(names) {
		last, cut, err := lastLine(filepath.Join(f.Dir, name))
		if err != nil {
			return nil, fmt.Errorf("audit.dir: %w", err)
		}
		if cut > 0 {
			found = append(found, Event{Action: Repaired, Object: name, Count: int(cut)})
		}
		if len(last) == 0 {
			continue
		}
		var l line
		if err := json.Unmarshal(last, &l); err != nil || l.Seq == 0 {
			return append(found, Event{Action: Broken, Object: name}), nil
		}
		f.end = link{l.Seq, sha256.Sum256(last)}
		break
	}
	return found, nil
}

// maxLine is more than any line has, in octets: JSON may take six octets for one.
const maxLine = 32 << 10

// lastLine returns the last line of a file without its end, nil where there is none. Octets after the last line end
// belong to a torn line: they are removed, and cut is their number.
func lastLine(path string) (last []byte, cut int64, err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	begin := max(0, info.Size()-2*maxLine)
	tail := make([]byte, info.Size()-begin)
	if _, err := file.ReadAt(tail, begin); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	whole := bytes.LastIndexByte(tail, '\n') + 1
	if cut = int64(len(tail) - whole); cut > 0 {
		if err := file.Truncate(begin + int64(whole)); err != nil {
			return nil, 0, err
		}
	}
	tail = bytes.TrimSuffix(tail[:whole], []byte("\n"))
	return tail[bytes.LastIndexByte(tail, '\n')+1:], cut, nil
}

// append writes the events. turned reports that a file was ended, since its day was over.
func (f *files) append(events []Event, lost uint64) (turned bool, err error) {
	if turned, err = f.turn(); err != nil {
		return turned, err
	}
	if f.torn {
		if err := f.open.Truncate(f.size); err != nil {
			return turned, err
		}
		f.torn = false
	}
	var text []byte
	end := f.end
	for _, e := range events {
		var one []byte
		one, end = end.next(e, lost)
		text, lost = append(text, one...), 0
	}
	f.torn = true
	if _, err := f.open.Write(text); err != nil {
		return turned, err
	}
	f.torn, f.dirty = false, true
	f.size, f.end = f.size+int64(len(text)), end
	return turned, nil
}

// turn opens the file of today, and removes those whose time is over.
func (f *files) turn() (turned bool, err error) {
	today := f.now().UTC().Format(dayForm)
	if f.open != nil && today <= f.day { // a clock that was set back does not open an earlier day's file again
		return false, nil
	}
	if turned = f.open != nil; turned {
		if err := f.sync(); err != nil {
			return false, err
		}
	}
	names, err := list(f.Dir)
	if err != nil {
		return turned, err
	}
	if n := len(names); n > 0 && names[n-1] > nameOf(today) {
		today = strings.TrimSuffix(strings.TrimPrefix(names[n-1], prefix), suffix)
	}
	file, err := os.OpenFile(filepath.Join(f.Dir, nameOf(today)), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return turned, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return turned, err
	}
	f.close()
	f.open, f.day, f.size, f.torn = file, today, info.Size(), false
	return turned, f.expire(names)
}

// expire removes files whose day has been over for longer than the retention.
func (f *files) expire(names []string) error {
	var failed error
	for _, name := range names {
		if day, _ := dayOf(name); f.now().Sub(day.Add(24*time.Hour)) > f.Retention {
			failed = errors.Join(failed, os.Remove(filepath.Join(f.Dir, name)))
		}
	}
	return failed
}

// sync makes what was written durable.
func (f *files) sync() error {
	if !f.dirty {
		return nil
	}
	f.dirty = false
	return f.open.Sync()
}

func (f *files) close() {
	if f.open != nil {
		f.open.Close()
	}
	f.open = nil
}
