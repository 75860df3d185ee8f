package forward

import (
	"encoding/base64"
	"net/http"
	"reflect"
	"testing"
)

// TestCaller: what is written is read.
func TestCaller(t *testing.T) {
	want := Caller{Node: 1, Organisation: "ttd", Token: "backend", Certificate: "CN=æøå", Fingerprint: "0f", Scopes: []string{"a:b", "c"}, Address: "[2001:db8::1]:4711"}
	h := http.Header{}
	if err := want.write(h); err != nil {
		t.Fatal(err)
	}
	if got, err := readCaller(h); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	newer := base64.RawURLEncoding.EncodeToString([]byte(`{"node":1,"organisation":"ttd","scopes":["a"],"newer":{"x":[1]}}`))
	if got, err := readCaller(http.Header{header: {newer}}); err != nil || got.Node != 1 || got.Organisation != "ttd" || len(got.Scopes) != 1 {
		t.Errorf("of a node of a newer version: %+v, %v", got, err)
	}
	h.Add(header, h.Get(header))
	if _, err := readCaller(h); err == nil {
		t.Error("two callers")
	}
}
