package smpp

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"straks/internal/faults"
)

// minimal is the smallest configuration that works.
func minimal() Config {
	return Config{SMSCs: []SMSC{{Name: "telco", Addr: "10.0.0.5:2775", SystemID: "straks", Password: "secret"}}}
}

func TestMinimalConfigIsValid(t *testing.T) {
	if err := minimal().Check().Err(); err != nil {
		t.Fatal(err)
	}
	c := minimal().WithDefaults()
	if got := c.Routes[0].SMSCs; !slices.Equal(got, []string{"telco"}) {
		t.Errorf("default route leads to %v", got)
	}
	if s := c.SMSCs[0]; s.Window != 32 || s.DeadLink != 15*time.Second || *s.DataCoding != 0 {
		t.Errorf("defaults: %+v", s)
	}
}

func TestEveryFaultIsReportedWithItsKey(t *testing.T) {
	coding := 256
	c := Config{
		SMSCs: []SMSC{
			{Name: "a b", Addr: "nowhere", SystemID: "", Password: strings.Repeat("x", 65), Window: -1, Rate: 0.001, Mode: "both", InterfaceVersion: "5.0"},
			{Name: "x", Addr: "[::1]:2775", SystemID: "id", DataCoding: &coding, DeadLink: time.Second, EnquireLink: 2 * time.Second,
				TLS: TLS{CertFile: "c"}, Status: map[string]string{"ESME_RFOO": "temporary", "ESME_RBAR": "temporary",
					"0x401": "later", "0x58": "barred", "ESME_RTHROTTLED": "throttled", "ESME_ROK": "failed"}},
			{Name: "x", Addr: "h:1", SystemID: "id", InterfaceVersion: Version33, LongMessages: LongSAR, Sender: "much too long a sender", Address: Address{ShortCode: &Numbering{7, 2}},
				Status: map[string]string{"0": "throttled"}},
		},
		Routes: []Route{
			{Name: "route-2"}, // as the next one is called
			{Prefixes: []string{"47"}, SMSCs: []string{"x", "y", "x"}, Weights: map[string]int{"x": 0, "z": 1}},
			{Name: "norway", SMSCs: []string{"x"}},
			{Name: "norway", SMSCs: []string{"x"}},
		},
	}
	want := []string{
		"smsc[0].name", "smsc[0].addr", "smsc[0].system_id", "smsc[0].password", "smsc[0].window", "smsc[0].rate", "smsc[0].interface_version", "smsc[0].mode",
		"smsc[1].data_coding", "smsc[1].dead_link", "smsc[1].tls.cert_file", "smsc[1].tls.mode", "smsc[1].status.0x401",
		"smsc[1].status.ESME_RBAR", "smsc[1].status.ESME_RFOO", "smsc[1].status.ESME_RTHROTTLED", "smsc[1].status.ESME_ROK", "smsc[2].status.0",
		"smsc[2].name", "smsc[2].long_messages", "smsc[2].sender", "smsc[2].address.short_code.ton", "smsc[2].address.short_code.npi",
		"route[0].smscs", "route[1].smscs[1]", "route[1].smscs[2]", "route[1].prefixes[0]", "route[1].weights.x", "route[1].weights.z",
		"route[1].name", "route[3].name",
	}
	got := keys(c.Check().Err())
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func keys(err error) (found []string) {
	var all faults.Faults
	errors.As(err, &all)
	for _, f := range all {
		found = append(found, f.Key)
	}
	return found
}
