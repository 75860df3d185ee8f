package wire

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Wireshark's dissector is an independent reading of the standard. It gets one
// PDU of each kind as Append writes it, and must find nothing malformed and nothing
// worth a remark.
func TestWiresharkReadsEveryPDU(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	all := sample()
	all[DataSM].(*Message).TLVs[0].Value = []byte("shortened to fit a TCP segment")
	var ids []CommandID
	var pdus [][]byte
	add := func(id CommandID, status Status, body any) {
		pdu, err := Append(nil, Header{ID: id, Status: status, Sequence: uint32(len(ids) + 1)}, body)
		if err != nil {
			t.Fatal(err)
		}
		ids, pdus = append(ids, id), append(pdus, pdu)
	}
	for id, body := range all {
		add(id, ESMEOK, body)
	}
	for _, id := range []CommandID{SubmitSMResp, BindTransceiverResp, GenericNack} {
		add(id, ESMESysErr, nil)
	}
	add(DeliverSMResp, ESMERxTAppn, &MessageResp{})
	file := filepath.Join(t.TempDir(), "session.pcap")
	if err := os.WriteFile(file, capture(pdus), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tshark, "-n", "-r", file, "-d", "tcp.port==2775,smpp", "-Y", "smpp", "-T", "fields", "-E", "separator=|",
		"-e", "smpp.command_id", "-e", "smpp.command_length", "-e", "smpp.sequence_number", "-e", "_ws.malformed", "-e", "_ws.expert.message")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_RUNTIME_DIR="+t.TempDir())
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, complaint.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(ids) {
		t.Fatalf("wireshark sees %d PDUs of %d:\n%s", len(lines), len(ids), out)
	}
	for i, line := range lines {
		f := strings.Split(line, "|")
		if len(f) != 5 || f[3] != "" || f[4] != "" {
			t.Errorf("%v: %s", ids[i], line)
		}
	}
}

// capture wraps each PDU in a TCP segment of its own, in one direction of one
// connection, and returns a pcap file (link type 101: raw IP).
func capture(pdus [][]byte) []byte {
	le, be := binary.LittleEndian, binary.BigEndian
	var b []byte
	b = le.AppendUint32(b, 0xA1B2C3D4)
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(b, 1<<18)
	b = le.AppendUint32(b, 101)
	seq := uint32(1)
	for i, pdu := range pdus {
		packet := make([]byte, 40, 40+len(pdu))
		packet[0], packet[8], packet[9] = 0x45, 64, 6
		be.PutUint16(packet[2:], uint16(40+len(pdu)))
		copy(packet[12:], []byte{127, 0, 0, 1, 127, 0, 0, 1})
		be.PutUint16(packet[20:], 40000)
		be.PutUint16(packet[22:], 2775)
		be.PutUint32(packet[24:], seq)
		packet[32], packet[33] = 5<<4, 0x18 // data offset; PSH, ACK
		be.PutUint16(packet[34:], 65535)
		packet = append(packet, pdu...)
		seq += uint32(len(pdu))
		b = le.AppendUint32(b, uint32(i))
		b = le.AppendUint32(b, 0)
		b = le.AppendUint32(b, uint32(len(packet)))
		b = le.AppendUint32(b, uint32(len(packet)))
		b = append(b, packet...)
	}
	return b
}
