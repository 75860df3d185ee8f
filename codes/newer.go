package codes

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"strings"
)

// newer are the members of a record that this program does not know. Nodes of two versions may share a store: what a
// newer one has added to a record, an older one writes again as it was. A record grows by members of its own only.
type newer struct{ members map[string]json.RawMessage }

func (n *newer) grown() *newer { return n }

// growing is a record that is written again after it was read.
type growing interface{ grown() *newer }

// decode reads a record into v, a pointer.
func decode(record []byte, v any) error {
	n, grows := v.(growing)
	if !grows {
		return json.Unmarshal(record, v)
	}
	strict := json.NewDecoder(bytes.NewReader(record))
	strict.DisallowUnknownFields()
	if strict.Decode(v) == nil {
		return nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(record, v); err != nil {
		return err
	}
	if err := json.Unmarshal(record, &members); err != nil {
		return err
	}
	for i := range reflect.TypeOf(v).Elem().NumField() {
		name, _, _ := strings.Cut(reflect.TypeOf(v).Elem().Field(i).Tag.Get("json"), ",")
		delete(members, name)
	}
	n.grown().members = members
	return nil
}

// encode returns the record of v.
func encode(v any) ([]byte, error) {
	record, err := json.Marshal(v)
	n, grows := v.(growing)
	if err != nil || !grows || len(n.grown().members) == 0 {
		return record, err
	}
	all := maps.Clone(n.grown().members)
	if err := json.Unmarshal(record, &all); err != nil {
		return nil, err
	}
	return json.Marshal(all)
}
