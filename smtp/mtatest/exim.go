package mtatest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"straks/internal/freeport"
)

// Exim is Debian's Exim.
func Exim(t *testing.T, c Config) string {
	t.Helper()
	exim := find(t, "usr/sbin/exim4")
	dir := folder(t, "spool", "log")
	own(t, filepath.Join(dir, "spool"), "Debian-exim")
	own(t, filepath.Join(dir, "log"), "Debian-exim")
	addr, conf := freeport.Until(t), filepath.Join(dir, "conf")
	write(t, conf, fmt.Sprintf(eximConf, dir, exim, portOf(addr), c.BounceDomain, portOf(c.Reports), portOf(c.World), int(c.Lifetime.Seconds())))
	run(t, exec.Command(exim, "-C", conf, "-bdf", "-q1s"), addr, filepath.Join(dir, "log", "main"))
	return addr
}

const eximConf = `primary_hostname = relay.test
spool_directory = %[1]s/spool
log_file_path = %[1]s/log/%%s
pid_file_path = %[1]s/exim.pid
exim_path = %[2]s
local_interfaces = 127.0.0.1
daemon_smtp_ports = %[3]s
keep_environment =
dsn_advertise_hosts = *
tls_advertise_hosts =
smtputf8_advertise_hosts = *
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_rcpt = acl_all
acl_smtp_data = acl_all

begin acl
acl_all:
  accept

begin routers
expanded:
  driver = redirect
  domains = alias.example
  data = kari@mottaker.example, ola@mottaker.example
reports:
  driver = manualroute
  domains = %[4]s
  transport = reports
  route_list = * 127.0.0.1
  self = send
world:
  driver = manualroute
  transport = world
  route_list = * 127.0.0.1
  self = send

begin transports
reports:
  driver = smtp
  port = %[5]s
  allow_localhost
world:
  driver = smtp
  port = %[6]s
  allow_localhost

begin retry
* * F,%[7]ds,1s
`
