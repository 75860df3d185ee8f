package daemon

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"

	"straks/internal/config"
)

// inherited are the listeners that systemd opened (sd_listen_fds(3)), which stay open while the daemon
// restarts: connections wait for the next process, and none is refused.
//
// One belongs to the section of its name (FileDescriptorName= of the socket unit) or, where it has another
// name, to the section with its address. Its address must be that of the configuration, by which the
// commands of an operator find the daemon.
type inherited []*inheritedListener

type inheritedListener struct {
	net.Listener
	name string
}

// inherit takes the listeners from systemd. It may be called once in a process: the environment no longer
// names them afterwards.
func inherit() (inherited, error) {
	var all inherited
	for _, file := range activation.Files(true) {
		l, err := net.FileListener(file)
		file.Close()
		if err != nil {
			all.close()
			return nil, fmt.Errorf("systemd's socket %q can't be used: it must be a ListenStream=: %w", file.Name(), err)
		}
		if u, ok := l.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false) // it is systemd's
		}
		all = append(all, &inheritedListener{l, file.Name()})
	}
	return all, nil
}

// take returns the listener of a section that listens on an address of the configuration; nil where
// systemd opened none.
func (all *inherited) take(section, addr string) (net.Listener, error) {
	for i, l := range *all {
		fits := sameAddress(l.Addr(), addr)
		if l.name == section && !fits {
			return nil, fmt.Errorf("%s.listen: is %s, but the socket that systemd opened for it listens on %s: change one (systemctl edit --full straks.socket)", section, addr, l.Addr())
		}
		if l.name == section || fits && !slices.Contains(sections, l.name) {
			*all = slices.Delete(*all, i, i+1)
			return l.Listener, nil
		}
	}
	return nil, nil
}

// listen returns the listener of a section on TCP: systemd's, or a new one.
func (all *inherited) listen(section, addr string) (net.Listener, error) {
	if l, err := all.take(section, addr); l != nil || err != nil {
		return l, err
	}
	return listen(section, addr)
}

// listenAny returns the listener of a section on TCP or on a unix socket, likewise.
func (all *inherited) listenAny(section string, s socket) (net.Listener, error) {
	if !config.IsSocket(s.path) {
		return all.listen(section, s.path)
	}
	if l, err := all.take(section, s.path); l != nil || err != nil {
		return l, err
	}
	return listenSocket(section+".listen", s)
}

// sections are those of the configuration that have listeners.
var sections = []string{"api", "metrics", "admin", "mail", "console", "node"}

// rest returns the error of sockets that belong to no section: nobody would ever answer on them.
func (all inherited) rest() error {
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("systemd opened the socket %q on %s, which is the address of no listener in the configuration: change one (systemctl edit --full straks.socket)",
		all[0].name, all[0].Addr())
}

func (all inherited) close() {
	for _, l := range all {
		l.Close()
	}
}

// sameAddress reports whether a listener has the address of the configuration. Port 0 is any port.
func sameAddress(have net.Addr, want string) bool {
	tcp, ok := have.(*net.TCPAddr)
	if !ok {
		return have.String() == want
	}
	addr, err := net.ResolveTCPAddr("tcp", want)
	if err != nil || want == "" { // which stands for all addresses there
		return false
	}
	everywhere := addr.IP == nil || addr.IP.IsUnspecified()
	return (addr.Port == 0 || addr.Port == tcp.Port) && (everywhere && tcp.IP.IsUnspecified() || addr.IP.Equal(tcp.IP))
}

// systemctlTime bounds the question which sockets are systemd's.
const systemctlTime = 5 * time.Second

// socketsOfUnit returns the addresses of the unit's sockets on TCP that systemd has open, which the daemon gets when
// it starts. There are none without systemd.
func socketsOfUnit() (addrs []*net.TCPAddr) {
	ctx, cancel := context.WithTimeout(context.Background(), systemctlTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property=ActiveState,Triggers,Listen", "straks*.socket").Output()
	if err != nil {
		return nil
	}
	for unit := range strings.SplitSeq(string(out), "\n\n") { // a paragraph for each unit
		if !strings.Contains(unit, "ActiveState=active") || !strings.Contains(unit, "straks.service") {
			continue
		}
		for line := range strings.Lines(unit) { // Listen=127.0.0.1:8080 (Stream)
			listens, found := strings.CutPrefix(strings.TrimSpace(line), "Listen=")
			if !found {
				continue
			}
			if tcp, err := net.ResolveTCPAddr("tcp", strings.TrimSuffix(listens, " (Stream)")); err == nil {
				addrs = append(addrs, tcp)
			}
		}
	}
	return addrs
}
