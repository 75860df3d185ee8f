package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"straks/orders/postgres"
)

// Alike returns a hash of each part that must be the same on all nodes that share a journal, by its name. Nodes of
// several versions compare them: what is hashed must not change with a version, and a key that has its default counts as
// one that is not there.
func (cfg *Config) Alike() map[string]string {
	parts := map[string]string{
		"organisation":      hashOf(slices.Sorted(slices.Values(cfg.Names()))),
		"journal.retention": hashOf(cfg.Journal.Retention),
		"node.lease":        hashOf(cfg.Node.Lease),
		"api.base_path":     hashOf(cfg.API.BasePath),
	}
	var smscs []string
	for i := range cfg.SMSCs {
		s := &cfg.SMSCs[i]
		smscs = append(smscs, s.Name)
		parts["smsc."+s.Name+".binds"] = hashOf(cmp.Or(s.Binds, 1))
		parts[postgres.DialectOf(s.Name)] = hashOf(s.spelling())
	}
	slices.Sort(smscs)
	parts["smsc"] = hashOf(smscs)
	return parts
}

// spelling is what decides which message a receipt of an SMSC is for, and what it says of it.
type spelling struct {
	Answers, Receipts string
	Errors            map[string]string `json:",omitempty"`
	States            map[string]string `json:",omitempty"`
	OneReceipt        bool              `json:",omitempty"`
	LeaveUnanswered   bool              `json:",omitempty"`
	AcceptedIsFinal   bool              `json:",omitempty"`
}

func (s *SMSC) spelling() spelling {
	return spelling{Answers: s.dialect.Answer.String(), Receipts: s.dialect.Receipt.String(), Errors: s.Errors, States: s.States,
		OneReceipt: s.OneReceipt, LeaveUnanswered: !s.SettleByRecipient, AcceptedIsFinal: s.AcceptedIsFinal}
}

func hashOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil { // strings, numbers, and maps and lists of strings
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
