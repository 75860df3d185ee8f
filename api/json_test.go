package api

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCheckJSON(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{}`, ""}, {` {"a":[1,{"b":null}]} `, ""}, {`[]`, ""}, {`1e3`, ""},
		{``, "empty"}, {" \n", "empty"},
		{`{"a":1`, "line 1"},
		{`{"a":1,}`, "line 1, octet 8"},
		{"{\n  \"a\": tru\n}", "line 2, octet 11"},
		{`{"a":1} {"b":2}`, "line 1, octet 9"},
		{`{'a':1}`, "line 1, octet 2"},
		{"{\"a\":\"x\ny\"}", "line 1"},
		{"{\"a\":\"\xff\"}", "UTF-8"},
		{strings.Repeat("[", 20000) + strings.Repeat("]", 20000), "depth"},
	} {
		err := checkJSON([]byte(c.in))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("checkJSON(%.30q) = %v; want %q", c.in, err, c.want)
		}
	}
}

// lookup is scan for one name.
func lookup(object []byte, name string) (spelled string, value []byte) {
	var found [1]property
	if scan(object, []string{name}, found[:]); found[0].value == nil {
		return "", nil
	}
	return found[0].spelled(), found[0].value
}

func TestLookup(t *testing.T) {
	for _, c := range []struct{ in, name, spelled, value string }{
		{`{}`, "a", "", ""},
		{`{"a":1}`, "a", "a", "1"},
		{`{ "A" : 1 }`, "a", "A", "1"},
		{`{"a":1,"A":2,"b":3}`, "a", "A", "2"},
		{`{"b":{"a":1},"c":["a",{"a":2}]}`, "a", "", ""},
		{`{"x":"}\"{","a":"\\"}`, "a", "a", `"\\"`},
		{`{"x":"\\\\","a":true}`, "a", "a", "true"},
		{`{"\u0061":[1, [2], {"a":3}]}`, "a", "a", `[1, [2], {"a":3}]`},
		{"{\n\t\"a\"\r\n:\t-1.5e3\n}", "a", "a", "-1.5e3"},
		{`{"\u212a":1}`, "k", "\u212a", "1"}, // KELVIN SIGN folds to k, in encoding/json too
	} {
		spelled, value := lookup([]byte(c.in), c.name)
		if spelled != c.spelled || string(value) != c.value {
			t.Errorf("lookup(%s, %q) = %q, %s; want %q, %s", c.in, c.name, spelled, value, c.spelled, c.value)
		}
	}
}

func TestLoneSurrogate(t *testing.T) {
	for _, c := range []struct {
		in   string
		want bool
	}{
		{`""`, false}, {`"\ud83d\ude00"`, false}, {`"\uD83D\uDE00\n\ud83d\ude00"`, false}, {`"\\ud83d"`, false}, {`"\ufffd"`, false},
		{`"\ud83d"`, true}, {`"\ude00"`, true}, {`"\ude00\ud83d"`, true}, {`"\ud83d\n"`, true}, {`"\ud83dx"`, true},
		{`"\\\ud83d"`, true}, {`"\ud83d\ud83d\ude00"`, true}, {`"\ud83d\\ude00"`, true},
	} {
		if got := loneSurrogate([]byte(c.in)); got != c.want {
			t.Errorf("loneSurrogate(%s) = %v", c.in, got)
		}
	}
}

// Over every valid object, lookup finds what encoding/json's decoder finds.
func FuzzLookup(f *testing.F) {
	f.Add([]byte(`{"a":1,"A":{"b":[true,"x\"]"]},"\u0061":"\ud83d"}`), "a")
	f.Add([]byte("{\n\t\"a\"\r\n:\t-1.5e3\n,\"b\":{}}"), "B")
	f.Fuzz(func(t *testing.T, body []byte, name string) {
		body = bytes.TrimSpace(body)
		if checkJSON(body) != nil || body[0] != '{' || !utf8.ValidString(name) {
			return
		}
		var want json.RawMessage
		d := json.NewDecoder(bytes.NewReader(body))
		d.Token()
		for d.More() {
			key, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			var value json.RawMessage
			if err := d.Decode(&value); err != nil {
				t.Fatal(err)
			}
			if strings.EqualFold(key.(string), name) {
				want = value
			}
		}
		if _, got := lookup(body, name); !bytes.Equal(got, want) {
			t.Fatalf("lookup(%s, %q) = %s; want %s", body, name, got, want)
		}
	})
}
