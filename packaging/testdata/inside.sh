#!/bin/bash
# Runs in a machine that systemd has booted: installs the package, sends a message as docs/install.md says,
# restarts, upgrades and rolls back under load, removes and purges; then the same files as an .rpm, without the
# load. /ci has old.deb, new.deb, old.rpm and new.rpm.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
step() { printf '== %s (%ds)\n' "$*" "$SECONDS"; }
fail() { echo "FAILED: $*"; systemctl status --no-pager straks.service straks.socket || true; journalctl --no-pager -u straks.service -n 30 || true; exit 1; }
is() { [[ "$1" == "$2" ]] || fail "$3: \"$1\", want \"$2\""; }
has() { [[ "$1" == *"$2"* ]] || fail "$3: \"$1\" lacks \"$2\""; }
state() { systemctl is-enabled "$1" 2>/dev/null || true; systemctl is-active "$1" 2>/dev/null || true; }

rm -f /var/lib/man-db/auto-update # an index of all manual pages of this machine takes longer than all else

step "install: nothing is enabled or started, and nothing is open"
out=$(dpkg -i /ci/old.deb 2>&1) || fail "install: $out"
has "$out" "does not run yet" "what the package says"
for unit in straks.service straks.socket; do is "$(state $unit)" $'disabled\ninactive' "$unit"; done
is "$(stat -c '%a %U' /etc/straks/credentials)" "700 root" "the folder of credentials"
is "$(stat -c '%a %U' /etc/straks/straks.toml)" "644 root" "the configuration"
has "$(straks --version)" "journal schema" "the version"
systemd-analyze verify straks.service straks.socket straks-init.service 2>&1 | grep straks && fail "systemd finds fault with the units"
zcat /usr/share/man/man1/straks-send-sms.1.gz | grep -q "send one SMS" || fail "no manual page"
bash -c '. /usr/share/bash-completion/completions/straks && complete -p straks' >/dev/null || fail "no completion in bash"

step "configure and start, as docs/install.md says"
token=$(straks token new -org example)
sed -i '/token new -org example/r /dev/stdin' /etc/straks/straks.toml <<<"$(tail -n +2 <<<"$token")"
printf '[limits]\nrecipient = [] # one number gets all orders below\n' >>/etc/straks/straks.toml
has "$(straks check -config-only 2>&1 || true)" "password_file" "what check misses"
install -m 600 /dev/stdin /etc/straks/credentials/telco.password <<<"secret"
straks check -config-only || fail "check"
systemd-run --quiet --unit=simulator straks smsc -listen 127.0.0.1:2775 -system-id straks -password-file /etc/straks/credentials/telco.password
systemctl start straks-init
systemctl enable --now straks.socket
straks check || fail "check with the socket of systemd"
systemctl enable --now straks.service
for _ in {1..100}; do straks status 2>/dev/null | grep -q bound && break; sleep 0.1; done
straks status | grep -q bound || fail "no bind"
export STRAKS_URL=http://127.0.0.1:8080/notifications/api/v1 STRAKS_TOKEN=${token%%$'\n'*}
straks send sms -to +4799999999 -wait "Your code is 123456" || fail "the first message"
is "$(stat -c '%a' /var/lib/private/straks/journal.db)" "600" "the journal"
ps -o user= -p "$(systemctl show -P MainPID straks)" | grep -qx straks || fail "it runs as another user"
journalctl -u straks -p warning --no-pager -o cat | grep '"level":"INFO"' && fail "priorities"
has "$(straks logs -organisation example)" "order" "straks logs"

# Two senders, each order a connection of its own, until /tmp/stop is there. Each failure is a line.
load() {
	rm -f /tmp/stop /tmp/failed; touch /tmp/failed
	for _ in 1 2; do
		until [[ -e /tmp/stop ]]; do
			straks send sms -to +4799999999 "Your code is 123456" >/dev/null 2>>/tmp/failed && echo sent >>/tmp/sent || echo "exit $?" >>/tmp/failed
			sleep 0.02
		done &
	done
}
unload() { sleep 0.5; touch /tmp/stop; wait; [[ ! -s /tmp/failed ]] || fail "$1: $(cat /tmp/failed)"; }
pid() { systemctl show -P MainPID straks; }

step "restart under load"
load; before=$(pid); systemctl restart straks; unload "restart"
[[ $(pid) != "$before" ]] || fail "not restarted"

step "upgrade under load: the configuration stays, and the daemon is the new one"
echo "# mine" >>/etc/straks/straks.toml
load; before=$(pid); out=$(dpkg -i /ci/new.deb 2>&1) || fail "upgrade: $out"; unload "upgrade"
is "$(dpkg-query -W -f '${Version}' straks)" "2.0.0" "the version"
[[ $(pid) != "$before" ]] || fail "the old daemon runs"
tail -1 /etc/straks/straks.toml | grep -qx "# mine" || fail "the configuration was replaced"
is "$(state straks.service)" $'enabled\nactive' "straks.service"

step "roll back under load"
load; before=$(pid); out=$(dpkg -i /ci/old.deb 2>&1) || fail "roll back: $out"; unload "roll back"
is "$(dpkg-query -W -f '${Version}' straks)" "1.0.0" "the version"
[[ $(pid) != "$before" ]] || fail "the new daemon runs"
echo "$(wc -l </tmp/sent) orders under load, none refused"

step "remove: it ends, and the configuration stays"
out=$(dpkg -r straks 2>&1) || fail "remove: $out"
for unit in straks.service straks.socket; do [[ $(systemctl is-active $unit) != active ]] || fail "$unit runs"; done
[[ -e /etc/straks/straks.toml && ! -e /usr/bin/straks ]] || fail "the files"
(exec 3<>/dev/tcp/127.0.0.1/8080) 2>/dev/null && fail "something listens"

step "purge: journal and credentials stay, and it says so"
out=$(dpkg -P straks 2>&1) || fail "purge: $out"
[[ ! -e /etc/straks/straks.toml && -s /var/lib/private/straks/journal.db && -s /etc/straks/credentials/telco.password ]] || fail "what stays: $(ls -R /etc/straks)"
has "$out" "/var/lib/private/straks is left as it is" "what purge says"

step "the .rpm: install, upgrade, erase"
rpms() { rpm --force-debian --nodeps "$@" 2>&1; }
rm -r /var/lib/private/straks
out=$(rpms -i /ci/old.rpm) || fail "install: $out"
has "$out" "does not run yet" "what the package says"
for unit in straks.service straks.socket; do is "$(state $unit)" $'disabled\ninactive' "$unit"; done
is "$(stat -c '%a %U' /etc/straks/credentials)" "700 root" "the folder of credentials"
echo "# mine" >>/etc/straks/straks.toml
systemctl start straks-init
systemctl enable --now straks.socket straks.service 2>/dev/null
before=$(pid); out=$(rpms -U /ci/new.rpm) || fail "upgrade: $out"
[[ $(pid) != "$before" && $(pid) != 0 ]] || fail "the old daemon runs"
tail -1 /etc/straks/straks.toml | grep -qx "# mine" || fail "the configuration was replaced"
out=$(rpms -e straks) || fail "erase: $out"
for unit in straks.service straks.socket; do [[ $(systemctl is-active $unit) != active ]] || fail "$unit runs"; done
[[ ! -e /usr/bin/straks && -s /var/lib/private/straks/journal.db ]] || fail "what stays"
has "$out" "left as they are" "what the package says"
step "PASSED"
