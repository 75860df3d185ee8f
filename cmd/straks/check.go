package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"straks/internal/config"
	"straks/internal/daemon"
	"straks/internal/faults"
	"straks/internal/printable"
)

// checkCommand reports all faults of a configuration, and of what "serve" would find on this machine: what it calls
// right, "serve" takes. It changes nothing, and connects to nothing except a journal's database.
func checkCommand(_ context.Context, args []string, e env) error {
	fs := newFlags("check [-config FILE] [-config-only] [-user NAME]")
	path := fs.configFlag()
	only := fs.Bool("config-only", false, "check the configuration and the files that it names, but neither journal nor listeners: for another machine, or before init")
	name := fs.String("user", "", "the `user` that the daemon runs as, whose access to files is checked where root runs this (default: User= of straks.service)")
	if _, err := fs.parse(args, e); err != nil {
		return err
	}
	cfg, warnings, err := config.Load(*path)
	var found faults.Faults
	if err == nil {
		// The limit of the operator's shell is not that of the daemon, which warns of its own.
		warnings = append(warnings, cfg.DescriptorWarnings(config.UnitDescriptors, "LimitNOFILE of the unit as it comes with straks")...)
		if !*only {
			var more faults.Faults
			found, more = daemon.Preflight(cfg)
			warnings = append(warnings, more...)
		}
		if os.Geteuid() == 0 {
			warnings = append(warnings, unreadable(cfg, daemonUser(*name, unitFiles))...)
		}
	}
	for _, w := range warnings {
		fmt.Fprintf(e.stderr, "%s: warning: %s\n", *path, printable.Lines(fmt.Sprint(w)))
	}
	if len(found) > 0 {
		err = &config.Invalid{Path: *path, Faults: found}
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s is right (%s, %s, %s)\n", *path,
		count(len(cfg.Organisations), "organisation"), count(len(cfg.SMSCs), "SMSC"), count(len(cfg.Relays), "relay"))
	return err
}

// count returns "1 relay", "2 relays".
func count(n int, of string) string {
	if n != 1 {
		of += "s"
	}
	return fmt.Sprintf("%d %s", n, of)
}

// unitFiles are where the unit may be, the one that counts first (systemd.unit(5)).
var unitFiles = []string{"/etc/systemd/system/straks.service", "/usr/local/lib/systemd/system/straks.service", "/usr/lib/systemd/system/straks.service"}

// account is a user as the file system sees it. With DynamicUser= the user exists while the unit runs only, and
// then has what everybody has.
type account struct {
	name   string // empty: not known
	uid    uint32
	gids   []uint32
	exists bool
}

// daemonUser returns the user of the name, or of User= in the first unit that there is.
func daemonUser(name string, units []string) account {
	for _, path := range units {
		if name != "" {
			break
		}
		text, err := os.Open(path)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(text); lines.Scan(); {
			if value, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "User="); ok {
				name = strings.TrimSpace(value)
			}
		}
		text.Close()
	}
	a := account{name: name}
	u, err := user.Lookup(name)
	if name == "" || err != nil {
		return a
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return a
	}
	a.uid, a.exists = uint32(uid), true
	groups, _ := u.GroupIds()
	for _, g := range append(groups, u.Gid) {
		if gid, err := strconv.ParseUint(g, 10, 32); err == nil {
			a.gids = append(a.gids, uint32(gid))
		}
	}
	return a
}

// unreadable warns of files that root can read and the daemon's user can't. Credentials are no such files: systemd
// hands them over.
func unreadable(cfg *config.Config, a account) (warnings faults.Faults) {
	if a.name == "" || a.exists && a.uid == 0 {
		return nil
	}
	list := faults.New()
	for _, f := range cfg.Files() {
		if path := a.barred(f.Path); path != "" {
			list.Add(f.Key, "names a file that the user %q can't read (see %s): move it to /etc/straks/credentials and give its bare name, or give the user access", a.name, path)
		}
	}
	// StateDirectory= gives the folder to a dynamic user, and its files only where the folder is another's.
	if info, err := os.Stat(cfg.Journal.Path); err == nil {
		if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Uid == 0 {
			list.Add("journal.path", "names a journal that belongs to root, and the daemon runs as %q: chown it like its folder", a.name)
		}
	}
	return list.All()
}

// barred returns the file or folder on the way to path that keeps the user from reading it; empty where nothing does.
func (a account) barred(path string) string {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "" // config has said so
	}
	if path, err = filepath.Abs(path); err != nil {
		return ""
	}
	const read, enter = 4, 1
	want := uint32(read)
	for {
		info, err := os.Stat(path)
		if err != nil {
			return path
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok && !a.may(want, uint32(info.Mode().Perm()), s.Uid, s.Gid) {
			return path
		}
		parent := filepath.Dir(path)
		if parent == path {
			return ""
		}
		path, want = parent, enter
	}
}

// may reports whether the permissions of a file give the user what is wanted. As in the kernel, the first class that
// the user belongs to decides.
func (a account) may(want, mode, uid, gid uint32) bool {
	switch {
	case a.exists && a.uid == uid:
		mode >>= 6
	case slices.Contains(a.gids, gid):
		mode >>= 3
	}
	return mode&want == want
}
