package daemontest

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Manager is systemd's end of sd_notify(3).
type Manager struct {
	t    *testing.T
	conn *net.UnixConn
	path string // of its socket
}

// Manage makes this process a service of systemd, until the test ends.
func Manage(t *testing.T) *Manager {
	t.Helper()
	m := NewManager(t)
	for _, variable := range m.Env() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	return m
}

// NewManager returns a manager of a process that gets Env.
func NewManager(t *testing.T) *Manager {
	t.Helper()
	m := &Manager{t: t, path: filepath.Join(t.TempDir(), "notify")}
	m.listen()
	t.Cleanup(func() { m.conn.Close() })
	return m
}

func (m *Manager) listen() {
	m.t.Helper()
	var err error
	if m.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"}); err != nil {
		m.t.Fatal(err)
	}
}

// Renew makes the socket again, as a systemd that was restarted may do.
func (m *Manager) Renew() {
	m.t.Helper()
	m.conn.Close()
	if err := os.Remove(m.path); err != nil {
		m.t.Fatal(err)
	}
	m.listen()
}

// Skip reads what was sent until now.
func (m *Manager) Skip() {
	for buf := make([]byte, 4096); ; {
		m.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := m.conn.Read(buf); err != nil {
			return
		}
	}
}

// Env returns the variables that systemd sets for a service with a watchdog of 60 ms.
func (m *Manager) Env() []string {
	return []string{"NOTIFY_SOCKET=" + m.path, "WATCHDOG_USEC=60000"}
}

// Await reads until a notification has all the given parts.
func (m *Manager) Await(parts ...string) {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 4096)
	for read := []string(nil); ; {
		n, err := m.conn.Read(buf)
		if err != nil {
			m.t.Fatalf("waited in vain for %q, read %q: %v", parts, read, err)
		}
		message := string(buf[:n])
		read = append(read, message)
		for line := range strings.Lines(message) {
			if name, _, _ := strings.Cut(line, "="); !slices.Contains([]string{"READY", "STATUS", "WATCHDOG", "STOPPING"}, name) {
				m.t.Errorf("systemd was sent %q", line)
			}
		}
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(message, part) }) {
			return
		}
	}
}

// Send sends a notification, as a service does, and reports whether it found room.
func (m *Manager) Send(state string) bool {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.path, Net: "unixgram"})
	if err != nil {
		m.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	_, err = conn.Write([]byte(state))
	return err == nil
}
