package config

import (
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"5s": 5 * time.Second, "90d": 90 * day, "1d12h": 36 * time.Hour, "250ms": 250 * time.Millisecond, "0s": 0,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "5", "d", "1.5d", "123456d", "1d 2h", "5 s"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"512MiB": 512 << 20, "8 GiB": 8 << 30, "0B": 0, "1KiB": 1024} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "5", "-1KiB", "5MB", "99999999TiB", "x"} {
		if err := new(Size).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if got := Size(1536 << 20).String(); got != "1536MiB" {
		t.Errorf("1.5 GiB is %s", got)
	}
}

func TestSnake(t *testing.T) {
	for name, want := range map[string]string{
		"Name": "name", "SystemID": "system_id", "CAFile": "ca_file", "SMSCs": "smscs", "MoreAddrs": "more_addrs",
		"TLS": "tls", "SHA256": "sha256", "TLSCertFile": "tls_cert_file", "DSN": "dsn", "NPI": "npi",
	} {
		if got := snake(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}
