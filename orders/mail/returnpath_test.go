package mail

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"straks/smtp"
	"straks/smtp/returnpath"
)

// The envelope sender is ours, the configured one, or the null sender, and reports are asked for only where they
// come back.
func TestReturnPaths(t *testing.T) {
	keys, err := returnpath.NewKeys(returnpath.NewKey(), nil)
	if err != nil {
		t.Fatal(err)
	}
	id := uuid.New()
	for _, test := range []struct {
		paths ReturnPaths
		want  smtp.Envelope
	}{
		{ReturnPaths{}, smtp.Envelope{}},
		{ReturnPaths{ComeBack: true}, smtp.Envelope{}},
		{ReturnPaths{Address: "retur@example.org"}, smtp.Envelope{ReturnPath: "retur@example.org"}},
		{ReturnPaths{Address: "retur@example.org", ComeBack: true}, smtp.Envelope{ReturnPath: "retur@example.org", Reports: true}},
		{ReturnPaths{Keys: keys, Domain: "r.example.org"}, smtp.Envelope{ReturnPath: keys.Local(id) + "@r.example.org"}},
		{ReturnPaths{Keys: keys, Domain: "r.example.org", ComeBack: true}, smtp.Envelope{ReturnPath: keys.Local(id) + "@r.example.org", Reports: true}},
	} {
		if got := test.paths.of(id); got != test.want || strings.Contains(got.ReturnPath, "varsel") {
			t.Errorf("%+v: %+v", test.paths, got)
		}
	}
}
