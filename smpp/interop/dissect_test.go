package interop

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"straks/smpp/wire"
)

// dissector is Wireshark's SMPP dissector over one capture file.
type dissector struct {
	tshark, file string
}

// dissect writes the streams to a file. It skips the test if tshark is not installed.
func dissect(t *testing.T, streams ...*stream) dissector {
	t.Helper()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed: run .ci/interop-deps")
	}
	c := newCapture()
	for i, s := range streams {
		s.mu.Lock()
		c.stream(s.chunks, i)
		s.mu.Unlock()
	}
	d := dissector{tshark, filepath.Join(t.TempDir(), "session.pcap")}
	if err := os.WriteFile(d.file, c.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// run returns what tshark prints for the packets that pass the filter.
func (d dissector) run(t *testing.T, filter string, args ...string) string {
	t.Helper()
	args = append([]string{"-n", "-r", d.file, "-d", "tcp.port==2775,smpp", "-Y", filter}, args...)
	cmd := exec.Command(d.tshark, args...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, complaint.String())
	}
	return string(out)
}

// faulty matches packets that are malformed or have an expert warning or error.
const faulty = "_ws.malformed || _ws.expert.severity >= 0x600000"

// faults returns the details of every packet in which the dissector finds a fault.
func (d dissector) faults(t *testing.T) string { return d.run(t, faulty, "-V", "-O", "smpp") }

// fields returns every value of the fields, in order. It runs tshark once, since each run
// takes seconds on a busy machine.
func (d dissector) fields(t *testing.T, filter string, names ...string) map[string][]string {
	t.Helper()
	args := []string{"-T", "fields", "-E", "separator=/t", "-E", "aggregator=|"}
	for _, name := range names {
		args = append(args, "-e", name)
	}
	values := map[string][]string{}
	for packet := range strings.Lines(d.run(t, filter, args...)) {
		for i, column := range strings.Split(strings.TrimSuffix(packet, "\n"), "\t") {
			values[names[i]] = append(values[names[i]], strings.FieldsFunc(column, func(r rune) bool { return r == '|' })...)
		}
	}
	return values
}

// commands counts the PDUs of one direction, read by our own code, and returns the number of
// octets of an incomplete PDU at the end.
func (s *stream) commands(toServer bool) (seen map[wire.CommandID]int, over int) {
	seen = map[wire.CommandID]int{}
	rest := s.octets(toServer)
	for len(rest) >= wire.HeaderLen {
		length := int(binary.BigEndian.Uint32(rest))
		if length < wire.HeaderLen || length > len(rest) {
			break
		}
		seen[wire.CommandID(binary.BigEndian.Uint32(rest[4:]))]++
		rest = rest[length:]
	}
	return seen, len(rest)
}

// TestDissectorFindsFaults shows that the dissector reports a broken PDU.
func TestDissectorFindsFaults(t *testing.T) {
	pdu, err := wire.Append(nil, wire.Header{ID: wire.SubmitSM, Sequence: 1},
		&wire.Message{Dest: "4799999999", ShortMessage: []byte("hei")})
	if err != nil {
		t.Fatal(err)
	}
	short := bytes.Clone(pdu[:len(pdu)-2]) // sm_length runs past the end
	binary.BigEndian.PutUint32(short, uint32(len(short)))

	good := dissect(t, &stream{chunks: []chunk{{true, pdu}}})
	if got := good.fields(t, "smpp", "smpp.command_id")["smpp.command_id"]; len(got) != 1 || got[0] != "0x00000004" {
		t.Errorf("a submit_sm is read as %v", got)
	}
	if faults := good.faults(t); faults != "" {
		t.Errorf("faults of a good PDU:\n%s", faults)
	}
	if bad := dissect(t, &stream{chunks: []chunk{{true, short}}}); bad.faults(t) == "" {
		t.Error("a PDU cut short passes")
	}
}
