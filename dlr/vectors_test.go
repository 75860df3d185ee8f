package dlr

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// vector is a file of testdata: the input, "---", the expected result. Lines are
// "key: value"; a value in double quotes is a Go string; '#' begins a comment.
//
// Input: answered (message_id of submit_sm_resp), answer_form, receipt_form,
// errors (code=cause …), states (word=meaning, …), accepted_is_final, esm_class, data_coding,
// source, text or ucs2, "tlv 0xTAG"; or pdu, a whole deliver_sm in hexadecimal.
//
// Result: what outcome returns. A key that is left out must be absent there.
type vector struct {
	answered string
	deliver  Deliver
	dialect  Dialect
	want     map[string]string
}

func TestVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			v := readVector(t, file)
			got := v.outcome()
			keys := slices.Sorted(maps.Keys(merged(got, v.want)))
			for _, key := range keys {
				if got[key] != v.want[key] {
					t.Errorf("%s: got %q, want %q", key, got[key], v.want[key])
				}
			}
		})
	}
}

// outcome parses the vector and returns everything that the package says about it.
func (v vector) outcome() map[string]string {
	r, ok := v.dialect.Parse(v.deliver)
	if !ok {
		return map[string]string{"receipt": "no"}
	}
	got := map[string]string{"state": r.State.String()}
	put := func(key, value string) {
		if value != "" {
			got[key] = value
		}
	}
	put("id", r.ID)
	put("text_id", r.TextID)
	put("unknown_state", r.UnknownState)
	put("final", yes(r.Final()))
	put("intermediate", yes(r.Intermediate))
	put("error", r.Error)
	put("network_error", r.NetworkError)
	put("recipient", r.Recipient)
	put("unverified", yes(r.Unverified))
	put("submitted", when(r.Submitted))
	put("done", when(r.Done))
	if r.HasReference {
		put("reference", strconv.Itoa(int(r.UserReference)))
	}
	if cause := v.dialect.Cause(r); cause != CauseNone {
		put("cause", cause.String())
	}
	if ref := v.dialect.AnswerRef(v.answered); ref != "" {
		refs, _ := v.dialect.Refs(r)
		put("matches", yes(slices.Contains(refs, ref)))
		for _, h := range v.dialect.Hints(r) {
			if h.Ref == ref && !h.OtherRecipient {
				put("hint", h.String())
			}
		}
	}
	return got
}

func readVector(t *testing.T, file string) vector {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	given, expected, ok := bytes.Cut(data, []byte("\n---\n"))
	if !ok {
		t.Fatalf("%s: no line ---", file)
	}
	v := vector{want: map[string]string{}}
	eachLine(t, given, func(key, value string) { v.set(t, key, value) })
	eachLine(t, expected, func(key, value string) { v.want[key] = value })
	return v
}

func eachLine(t *testing.T, lines []byte, do func(key, value string)) {
	t.Helper()
	for s := bufio.NewScanner(bytes.NewReader(lines)); s.Scan(); {
		if strings.HasPrefix(s.Text(), "#") {
			continue
		}
		key, value, ok := strings.Cut(s.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		if strings.HasPrefix(value, `"`) {
			var err error
			value, err = strconv.Unquote(value)
			ok = ok && err == nil
		}
		if !ok {
			t.Fatalf("line %q is not key: value", s.Text())
		}
		do(key, value)
	}
}

func (v *vector) set(t *testing.T, key, value string) {
	t.Helper()
	var err error
	d := &v.deliver
	switch key {
	case "answered":
		v.answered = value
	case "answer_form":
		v.dialect.Answer, err = ParseForm(value)
	case "receipt_form":
		v.dialect.Receipt, err = ParseForm(value)
	case "errors":
		settings := map[string]string{}
		for _, entry := range strings.Fields(value) {
			code, cause, _ := strings.Cut(entry, "=")
			settings[code] = cause
		}
		v.dialect.Errors, err = NewErrorTable(settings)
	case "states":
		settings := map[string]string{}
		for _, entry := range strings.Split(value, ",") {
			word, means, _ := strings.Cut(strings.TrimSpace(entry), "=")
			settings[word] = means
		}
		v.dialect.States, err = NewStateTable(settings)
	case "accepted_is_final":
		v.dialect.AcceptedIsFinal = value == "yes"
	case "pdu":
		v.deliver, err = fromPDU(value)
	case "esm_class":
		d.ESMClass, err = octet(value)
	case "data_coding":
		d.DataCoding, err = octet(value)
	case "source":
		d.Source = value
	case "text":
		d.Text = []byte(value)
	case "ucs2":
		for _, unit := range utf16.Encode([]rune(value)) {
			d.Text = append(d.Text, byte(unit>>8), byte(unit))
		}
	case "tlv 0x001E":
		d.ReceiptedMessageID = value
	case "tlv 0x0427":
		d.MessageState = []byte(value)
	case "tlv 0x0423":
		d.NetworkErrorCode = []byte(value)
	case "tlv 0x0204":
		d.UserReference = []byte(value)
	default:
		t.Fatalf("unknown key %q", key)
	}
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
}

// fromPDU reads a deliver_sm without TLVs, as it was on the wire (SMPP 3.4 §4.6.1).
func fromPDU(text string) (d Deliver, err error) {
	pdu, err := hex.DecodeString(text)
	if err != nil || len(pdu) < 16 {
		return d, fmt.Errorf("not a PDU: %v", err)
	}
	rest := pdu[16:]
	cstring := func() (s string) {
		if at := bytes.IndexByte(rest, 0); at >= 0 {
			s, rest = string(rest[:at]), rest[at+1:]
		}
		return s
	}
	octets := func(n int) (b []byte) {
		n = min(n, len(rest))
		b, rest = rest[:n], rest[n:]
		return b
	}
	cstring() // service_type
	octets(2)
	d.Source = cstring()
	octets(2)
	d.Destination = cstring()
	d.ESMClass = octets(3)[0]
	cstring() // schedule_delivery_time
	cstring() // validity_period
	d.DataCoding = octets(4)[2]
	d.Text = octets(int(octets(1)[0]))
	if len(rest) > 0 {
		err = fmt.Errorf("%d octets are left", len(rest))
	}
	return d, err
}

func octet(s string) (byte, error) {
	n, err := strconv.ParseUint(s, 0, 8)
	return byte(n), err
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func when(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Format(time.DateTime)
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
