package config

import (
	"os"

	"github.com/BurntSushi/toml"
)

// Names are the names of what a configuration has.
type Names struct{ Organisations, SMSCs, Relays []string }

// ReadNames reads the names alone, from a configuration that may have faults, and none of the files
// that it names: for the completion of a command line.
func ReadNames(path string) (Names, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Names{}, err
	}
	var top map[string]any
	if _, err := toml.Decode(string(text), &top); err != nil {
		return Names{}, syntaxError(string(text), err)
	}
	return Names{namesOf(top["organisation"]), namesOf(top["smsc"]), namesOf(top["relay"])}, nil
}

// namesOf returns the names of the tables in an array.
func namesOf(array any) (names []string) {
	items, _ := asList(array)
	for _, item := range items {
		if table, ok := item.(map[string]any); ok {
			if name, ok := table["name"].(string); ok {
				names = append(names, name)
			}
		}
	}
	return names
}
