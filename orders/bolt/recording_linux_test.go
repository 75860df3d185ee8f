package bolt

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// op is one thing that a program did to its files, in the order in which the
// kernel finished it, or a line that it printed.
type op struct {
	call string // as in Linux: pwrite64, ftruncate, fdatasync, creat, rename, link, unlink; "told" for a line, "failed" for what was tampered with
	file string // relative to the folder that was watched; "." for itself
	to   string // of rename and link
	off  int64  // of pwrite64, and the size of ftruncate
	data []byte // of pwrite64 and told
}

// watched are the system calls that decide what a power cut leaves.
const watched = "pwrite64,write,fdatasync,fsync,ftruncate,openat,rename,renameat,renameat2,link,linkat,unlink,unlinkat"

// record runs a test of this binary as a child, under strace, and returns what it
// did in dir. Calls are tampered with as inject says (strace(1)), if it says
// anything.
func record(t *testing.T, child, dir, inject string) []op {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	log := filepath.Join(t.TempDir(), "strace")
	cmd := exec.Command(strace, "-f", "-y", "-xx", "-s", "100000000", "-o", log, "-e", "trace="+watched, "-e", "signal=none")
	if inject != "" {
		cmd.Args = append(cmd.Args, "-e", "inject="+inject)
	}
	cmd.Args = append(cmd.Args, os.Args[0], "-test.run=^"+child+"$")
	cmd.Env = append(os.Environ(), recordEnv+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := recording{t: t, dir: dir, unfinished: make(map[string]string)}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<30)
	for lines.Scan() {
		r.line(lines.Text())
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return r.ops
}

// recording reads the log of strace -f -y -xx.
type recording struct {
	t          *testing.T
	dir        string
	unfinished map[string]string // beginnings of calls, by thread
	ops        []op
}

var (
	resumed = regexp.MustCompile(`^<\.\.\. \w+ resumed>`)
	done    = regexp.MustCompile(`^(\w+)\((.*)\)\s+= (\d+)`)
	descr   = regexp.MustCompile(`^(\d+)<((?:\\x..)*)`)
	quoted  = regexp.MustCompile(`"((?:\\x..)*)"`)
)

// line reads one line; a call that another thread's broke in two counts where it ends.
func (r *recording) line(text string) {
	thread, call, _ := strings.Cut(text, " ")
	call = strings.TrimLeft(call, " ")
	if begun, ok := strings.CutSuffix(call, " <unfinished ...>"); ok {
		r.unfinished[thread] = begun
		return
	}
	if rest := resumed.FindString(call); rest != "" {
		call = r.unfinished[thread] + call[len(rest):]
	}
	if strings.HasSuffix(call, "(INJECTED)") {
		r.ops = append(r.ops, op{call: "failed"})
	} else if m := done.FindStringSubmatch(call); m != nil { // else it failed, or is no call
		r.call(m[1], m[2])
	}
}

func (r *recording) call(name, args string) {
	var names []string
	for _, q := range quoted.FindAllStringSubmatch(args, 2) {
		names = append(names, unhex(q[1]))
	}
	fd := descr.FindStringSubmatch(args)
	switch name {
	case "openat":
		if strings.Contains(args, "O_CREAT") {
			r.add(op{call: "creat", file: names[0]})
		}
	case "rename", "renameat", "renameat2":
		r.add(op{call: "rename", file: names[0], to: names[1]})
	case "link", "linkat":
		r.add(op{call: "link", file: names[0], to: names[1]})
	case "unlink", "unlinkat":
		r.add(op{call: "unlink", file: names[0]})
	case "fdatasync", "fsync":
		r.add(op{call: "fdatasync", file: unhex(fd[2])})
	case "ftruncate":
		r.add(op{call: name, file: unhex(fd[2]), off: r.lastNumber(args)})
	case "pwrite64":
		r.add(op{call: name, file: unhex(fd[2]), off: r.lastNumber(args), data: []byte(names[0])})
	case "write":
		if fd[1] == "1" {
			r.ops = append(r.ops, op{call: "told", data: []byte(names[0])})
		}
	}
}

// add notes what was done within the folder.
func (r *recording) add(o op) {
	var err1, err2 error
	o.file, err1 = filepath.Rel(r.dir, o.file)
	if o.to != "" {
		o.to, err2 = filepath.Rel(r.dir, o.to)
	}
	if err1 == nil && err2 == nil && !strings.HasPrefix(o.file, "..") {
		r.ops = append(r.ops, o)
	}
}

func (r *recording) lastNumber(args string) int64 {
	n, err := strconv.ParseInt(args[strings.LastIndexByte(args, ' ')+1:], 10, 64)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// unhex undoes strace's -xx.
func unhex(s string) string {
	b := make([]byte, 0, len(s)/4)
	for ; len(s) >= 4; s = s[4:] {
		n, _ := strconv.ParseUint(s[2:4], 16, 8)
		b = append(b, byte(n))
	}
	return string(b)
}
