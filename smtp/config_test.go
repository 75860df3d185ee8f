package smtp

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/faults"
)

// keys returns the dotted keys of all faults, in order.
func keys(found faults.Faults) []string {
	var keys []string
	for _, f := range found {
		keys = append(keys, f.Key)
	}
	slices.Sort(keys)
	return keys
}

func TestValidate(t *testing.T) {
	_, ca, key := certificate(t)
	noPEM := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(noPEM, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := Relay{Name: "mx", Addr: "mx.example.org:25"}
	with := func(change func(*Relay)) Relay {
		r := good
		change(&r)
		return r
	}
	tests := []struct {
		relay Relay
		keys  string
	}{
		{good, ""},
		{with(func(r *Relay) { r.Addr = "[2001:db8::1]:587" }), ""},
		{with(func(r *Relay) { r.TLS, r.CAFile, r.ClientCert, r.ClientKey = TLSStartTLS, ca, ca, key }), ""},
		{with(func(r *Relay) { r.Username, r.Password = "u", "p" }), ""},
		{with(func(r *Relay) { r.Username, r.Password, r.TLS, r.InsecureAuth = "u", "p", TLSOff, true }), ""},
		{with(func(r *Relay) { r.Helo = "[192.0.2.1]" }), ""},
		{Relay{}, "name addr"},
		{with(func(r *Relay) { r.Name = "a b" }), "name"},
		{with(func(r *Relay) { r.Addr = "mx.example.org" }), "addr"},
		{with(func(r *Relay) { r.Addr = "mx.example.org:0" }), "addr"},
		{with(func(r *Relay) { r.Addr = "mx example:25" }), "addr"},
		{with(func(r *Relay) { r.TLS = "yes" }), "tls"},
		{with(func(r *Relay) { r.MinTLSVersion = "1.0" }), "min_tls_version"},
		{with(func(r *Relay) { r.TLS, r.CAFile = TLSOff, ca }), "ca_file"},
		{with(func(r *Relay) { r.TLS, r.CAFile = TLSOpportunistic, ca }), "ca_file"},
		{with(func(r *Relay) { r.CAFile = noPEM }), "ca_file"},
		{with(func(r *Relay) { r.CAFile = "/does/not/exist" }), "ca_file"},
		{with(func(r *Relay) { r.ClientCert = ca }), "client_cert"},
		{with(func(r *Relay) { r.ClientCert, r.ClientKey = ca, ca }), "client_cert"},
		{with(func(r *Relay) { r.Username = "u" }), "password_file"},
		{with(func(r *Relay) { r.Password = "p" }), "username"},
		{with(func(r *Relay) { r.Username, r.Password, r.TLS = "u", "p", TLSOpportunistic }), "tls"},
		{with(func(r *Relay) { r.Username, r.Password, r.Mechanism = "u", "p", "NTLM" }), "mechanism"},
		{with(func(r *Relay) { r.Helo = "a\r\nb" }), "helo"},
		{with(func(r *Relay) { r.Helo = "[192.0.2.1" }), "helo"},
		{with(func(r *Relay) { r.MaxConns = 1001 }), "max_conns"},
		{with(func(r *Relay) { r.DialTimeout, r.DataTimeout = -time.Second, 30 }), "dial_timeout data_timeout"},
	}
	for _, test := range tests {
		found := Config{Relays: []Relay{{Name: "other", Addr: "127.0.0.1:25"}, test.relay}}.Check()
		want := strings.Fields(test.keys)
		for i := range want {
			want[i] = "relay[1]." + want[i]
		}
		slices.Sort(want)
		if got := keys(found); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v: faults %v, want %v", test.relay, found, want)
		}
	}
	if got := keys(Config{Relays: []Relay{good, good}}.Check()); fmt.Sprint(got) != "[relay[1].name]" {
		t.Errorf("the same name twice: %v", got)
	}
	_, err := New(Config{Relays: []Relay{{}}}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	var found faults.Faults
	if !errors.As(err, &found) || len(found) != 2 {
		t.Errorf("New: %v", err)
	}
	if _, err := New(Config{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err == nil {
		t.Error("a pool without relays")
	}
}

func TestCredentialsStayHidden(t *testing.T) {
	r := Relay{Name: "mx", Addr: "mx.example.org:25", Username: "bruker", Password: "hemmelig"}
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "relay", r)
	text := out.String() + fmt.Sprintf("%v %s %+v", r, r, r)
	if strings.Contains(text, "hemmelig") || strings.Contains(text, "bruker") {
		t.Errorf("shown: %s", text)
	}
}
