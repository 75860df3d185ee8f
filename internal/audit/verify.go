package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Report is what a verification found.
type Report struct {
	Files, Lines int
	First, Last  string // times of the first and the last line; "" where there is none
	FirstSeq     uint64 // more than 1: earlier lines were removed with their files
	Head         string // hash of the last line
	LostEvents   uint64 // that the writer left out, and says so
	HeadFound    bool   // the hash that was asked for is that of a line, or of none
	Breaks       []Break
	MoreBreaks   bool // than are in Breaks
}

// Break is a place where the chain is broken.
type Break struct {
	File string
	Line int // of the file, from 1 on
	What string
}

// maxBreaks bounds the breaks of a report.
const maxBreaks = 20

// Verify reads the files in dir. head is the hash of a line that must be among them, or "".
// step is called now and then with the octets that were read and their number.
func Verify(dir, head string, step func(done, all int64)) (Report, error) {
	names, err := list(dir)
	if err != nil {
		return Report{}, err
	}
	if len(names) == 0 {
		return Report{}, fmt.Errorf("%s has no files of the audit (%s)", dir, nameOf("2026-01-31"))
	}
	v := &verifier{head: head, step: step, report: Report{Files: len(names), HeadFound: head == ""}}
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
			v.all += info.Size()
		}
	}
	for i, name := range names {
		if err := v.file(dir, name, i == len(names)-1); err != nil {
			return v.report, fmt.Errorf("%s: %w", name, err)
		}
	}
	return v.report, nil
}

// verifier follows the chain.
type verifier struct {
	head      string
	step      func(done, all int64)
	done, all int64
	end       link
	began     bool
	report    Report
}

// file follows the chain through one file.
func (v *verifier) file(dir, name string, last bool) error {
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, maxLine)
	for n := 1; ; n++ {
		text, err := in.ReadSlice('\n')
		v.done += int64(len(text))
		if v.step != nil && n%10_000 == 0 {
			v.step(v.done, v.all)
		}
		switch {
		case errors.Is(err, io.EOF) && len(text) == 0:
			if n == 1 && !last { // a process may be killed between making a file and its first line
				v.fail(name, n, "the file is empty")
			}
			return nil
		case errors.Is(err, io.EOF):
			v.fail(name, n, "the line is torn: its end is missing")
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			v.fail(name, n, "the line is longer than any that straks writes; the rest of the file was not read")
			return nil
		case err != nil:
			return err
		}
		v.line(name, n, bytes.TrimSuffix(text, []byte("\n")))
	}
}

// line follows the chain over one line.
func (v *verifier) line(name string, n int, text []byte) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		v.fail(name, n, "the line is no JSON object")
		v.end = link{v.end.seq + 1, sha256.Sum256(text)}
		return
	}
	prev := hex.EncodeToString(v.end.hash[:])
	if !v.began {
		v.report.First, v.report.FirstSeq = l.Time, l.Seq
	}
	switch {
	case !v.began && l.Seq > 1: // the lines before were removed with their file
	case !v.began && l.Prev != prev:
		v.fail(name, n, "the first line has a line before it")
	case !v.began:
	case l.Seq == 1 && l.Action == Broken:
		v.fail(name, n, "a new chain begins here: the line before could not be read")
	case l.Seq != v.end.seq+1:
		v.fail(name, n, fmt.Sprintf("the line has number %d after %d: lines are missing or were added", l.Seq, v.end.seq))
	case l.Prev != prev:
		v.fail(name, n, "the line before is not the one that was written")
	}
	v.began = true
	v.end = link{l.Seq, sha256.Sum256(text)}
	v.report.Lines++
	v.report.LostEvents += l.Lost
	v.report.Last, v.report.Head = l.Time, hex.EncodeToString(v.end.hash[:])
	if v.report.Head == v.head {
		v.report.HeadFound = true
	}
}

func (v *verifier) fail(name string, n int, what string) {
	if len(v.report.Breaks) == maxBreaks {
		v.report.MoreBreaks = true
		return
	}
	v.report.Breaks = append(v.report.Breaks, Break{name, n, what})
}
