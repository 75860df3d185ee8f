package main

import (
	"context"
	"fmt"

	"straks/internal/config"
	"straks/orders/sealed"
)

// journalKey prints a new key, or the id of one.
func journalKey(_ context.Context, args []string, e env) error {
	fs := newFlags("journal key [-id FILE]")
	fs.notes = "Prints a new key, for the file that journal.key_file names:\n\n" +
		"  (umask 077; straks journal key > journal.key)\n\n" +
		"Without its key, a journal that was sealed with it is lost: keep a copy of the key, apart from the backups of the journal.\n"
	file := fs.String("id", "", "print no key, but the id of the key in this `FILE`, as errors and \"journal stats\" name it")
	if _, err := fs.parse(args, e, "key"); err != nil {
		return err
	}
	key := sealed.NewKey()
	text := key.Text()
	if *file != "" {
		var err error
		if key, err = readJournalKey(*file); err != nil {
			return fmt.Errorf("journal key: -id %w", err)
		}
		text = key.ID.String()
	}
	_, err := fmt.Fprintln(e.stdout, text)
	return err
}

// readJournalKey reads a key from a file, which may be the name of a credential.
func readJournalKey(path string) (sealed.Key, error) {
	text, err := config.ReadSecret(path)
	if err != nil {
		return sealed.Key{}, err
	}
	key, err := sealed.ParseKey(text)
	if err != nil {
		return sealed.Key{}, fmt.Errorf("names %s, which holds what %w", path, err)
	}
	return key, nil
}

// keys returns the keys that the configuration names; none for a journal that -file names.
func (f journalFlags) keys() (keys sealed.Keys, err error) {
	if *f.file != "" {
		return sealed.Keys{}, nil
	}
	cfg, _, err := config.LoadSealed(*f.config)
	if err != nil {
		return sealed.Keys{}, err
	}
	return keysOf(cfg)
}

// keysOf reads the keys that a configuration names, which was loaded without secrets.
func keysOf(cfg *config.Config) (keys sealed.Keys, err error) {
	for _, k := range []struct {
		name, file string
		to         **sealed.Key
	}{{"key_file", cfg.Journal.KeyFile, &keys.Current}, {"former_key_file", cfg.Journal.FormerKeyFile, &keys.Former}} {
		if k.file == "" {
			continue
		}
		key, err := readJournalKey(k.file)
		if err != nil {
			return sealed.Keys{}, fmt.Errorf("journal.%s %w", k.name, err)
		}
		*k.to = &key
	}
	return keys, nil
}
