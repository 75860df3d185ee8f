package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"straks/internal/config"
)

// socketListener is a listener on a unix socket that removes its file when it is closed.
type socketListener struct {
	*net.UnixListener
	path string
	info fs.FileInfo // of the file
}

// listenSocket listens on the unix socket that the configuration names. A file that a
// killed process has left is replaced; a socket on which a process listens is not.
//
// The socket gets its permissions under another name, and then its own name in one step: at
// no time can anybody connect whom the configuration does not admit.
//
// The folder of the default path is made where it is missing: without systemd, /run is empty after each boot.
func listenSocket(key string, s socket) (net.Listener, error) {
	if filepath.Dir(s.path) == filepath.Dir(config.DefaultAdmin) {
		_ = os.Mkdir(filepath.Dir(s.path), 0o755) // it is there, or what follows says that it is not
	}
	l, err := bindSocket(s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return l, nil
}

// socket is what the configuration says of a unix socket.
type socket struct {
	path     string
	mode     config.FileMode
	group    string // empty: the daemon's own
	groupKey string // of the configuration
}

func adminSocket(a config.Admin) socket { return socket{a.Listen, a.Mode, a.Group, "admin.group"} }

func apiSocket(a config.API) socket { return socket{a.Listen, a.Mode, a.Group, "api.group"} }

func lmtpSocket(m config.Mail) socket {
	return socket{m.LMTP, m.LMTPMode, m.LMTPGroup, "mail.lmtp_group"}
}

func bindSocket(s socket) (_ *socketListener, err error) {
	unlock, err := lockFolder(filepath.Dir(s.path))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := checkFree(s.path); err != nil {
		return nil, err
	}
	draft := s.path + ".new"
	if err := os.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// Linux creates the file with the permissions of the socket itself (unix(7) does not
	// say so; net/unix/af_unix.c does): at first only the owner may connect.
	closed := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), 0o600) }), err)
	}}
	listener, err := closed.Listen(context.Background(), "unix", draft)
	if err != nil {
		return nil, err
	}
	l := &socketListener{UnixListener: listener.(*net.UnixListener), path: s.path}
	l.SetUnlinkOnClose(false)
	defer func() {
		if err != nil {
			l.UnixListener.Close()
			os.Remove(draft)
		}
	}()
	if err := admit(draft, s); err != nil {
		return nil, err
	}
	if l.info, err = os.Lstat(draft); err != nil {
		return nil, err
	}
	return l, os.Rename(draft, s.path)
}

// Close ends the listener and removes its file, unless the file is another's by now.
func (l *socketListener) Close() error {
	if info, err := os.Lstat(l.path); err == nil && os.SameFile(info, l.info) {
		os.Remove(l.path)
	}
	return l.UnixListener.Close()
}

// Addr returns the path of the socket, not the name that it had at first.
func (l *socketListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// folderLock bounds the wait for another process that is between looking for a free path
// and listening on it.
const folderLock = 5 * time.Second

// lockFolder keeps other daemons from replacing a socket in the folder until unlock is called.
func lockFolder(folder string) (unlock func(), err error) {
	f, err := os.Open(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no folder %s: create it, owned by the user that straks runs as, or set RuntimeDirectory= in the systemd unit", folder)
	case err != nil:
		return nil, err
	}
	for deadline := time.Now().Add(folderLock); ; time.Sleep(10 * time.Millisecond) {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) || time.Now().After(deadline) {
			f.Close()
			return nil, fmt.Errorf("the folder %s can't be locked: %w", folder, err)
		}
	}
}

// checkFree reports why there can be no new socket at the path: another process listens on
// it, or something else than a socket is there.
func checkFree(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there already and is not a socket: move it away, or choose another path", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil // left by a process that was killed, or gone by now
	}
	return fmt.Errorf("another process listens on %s already: is straks running?", path)
}

// admit gives a new socket its group and its permissions, in this order: the group must not
// gain what the former one was meant to have.
func admit(path string, s socket) error {
	if s.group != "" {
		id, err := groupID(s.group)
		if err != nil {
			return fmt.Errorf("%s: %w", s.groupKey, err)
		}
		if err := os.Lchown(path, -1, id); err != nil {
			return fmt.Errorf("%s: the daemon can't give its socket to %q, of which it must be a member (Group= in the systemd unit): %w", s.groupKey, s.group, err)
		}
	}
	return os.Chmod(path, fs.FileMode(s.mode))
}

// groupID returns the number of a group that is given by name or number.
func groupID(group string) (int, error) {
	if id, err := strconv.ParseUint(group, 10, 31); err == nil {
		return int(id), nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}
