package doctor

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"straks/internal/config"
)

// dkimCheck looks whether the record of a key is the key's (RFC 6376 §3.6.1).
func dkimCheck(ctx context.Context, r *Resolver, k config.PublishedKey) []Finding {
	want, err := k.Record()
	if err != nil {
		return []Finding{found(Fix, "The key %v.", err)}
	}
	texts, alias, err := r.txt(ctx, k.Name())
	if err != nil {
		return []Finding{r.unreachable("the record "+k.Name(), err)}
	}
	at := k.Name()
	if alias != "" {
		at = alias
	}
	wrong := keyFault(texts, want)
	if wrong == "" {
		return []Finding{keyRight(k, alias, texts[0])}
	}
	use := "signs our mails"
	if k.Next {
		use = "is to sign our mails next: don't use it yet"
	}
	f := found(Fix, "The key (%s) %s, and %s.", k.Algorithm(), use, wrong)
	if doubled, _, err := r.txt(ctx, k.Name()+"."+k.Domain); err == nil && len(texts) == 0 && len(doubled) > 0 {
		f.Says += fmt.Sprintf(" There is one at %s.%s: the domain was given twice.", k.Name(), k.Domain)
		f.Remove = append(f.Remove, TXT(k.Name()+"."+k.Domain, doubled[0]))
	}
	for _, text := range texts {
		f.Remove = append(f.Remove, TXT(at, text))
	}
	f.Publish = []string{TXT(at, want)}
	return []Finding{f}
}

// keyRight is the finding of a record that is the key's.
func keyRight(k config.PublishedKey, alias, text string) Finding {
	f := found(OK, "The record is that of our key (%s).", k.Algorithm())
	if k.Next {
		f.Says = fmt.Sprintf("The record is that of the next key (%s).", k.Algorithm())
	}
	if alias != "" {
		f.Says += fmt.Sprintf(" It is an alias (CNAME) of %s.", alias)
	}
	tags, _ := parseTags(text)
	if slices.Contains(strings.Split(tags["t"], ":"), "y") {
		f.Level = Note
		f.Says += ` It says that DKIM is being tested (t=y): receivers may take the mails for unsigned. Remove "t=y".`
	}
	return f
}

// keyFault returns what is wrong with the records at a key's name; empty where nothing is.
func keyFault(texts []string, want string) string {
	switch len(texts) {
	case 0:
		return "there is no record for it"
	case 1:
	default:
		return fmt.Sprintf("there are %d records at its name, of which receivers take any", len(texts))
	}
	have, ok := parseTags(texts[0])
	if !ok {
		return "the record is no list of tags like k=rsa; p=…"
	}
	ours, _ := parseTags(want)
	kind := have["k"]
	if kind == "" {
		kind = "rsa"
	}
	key, fault := keyOf(have)
	mine, _ := keyOf(ours)
	switch {
	case have["v"] != "" && have["v"] != "DKIM1":
		return `the record's version is not "v=DKIM1"`
	case fault != "":
		return fault
	case !strings.EqualFold(kind, ours["k"]):
		return fmt.Sprintf("the record is for a key of another kind (k=%s)", kind)
	case key != mine:
		return "the record is that of another key"
	case have["h"] != "" && !listed(have["h"], "sha256"):
		return "the record allows other hashes than SHA-256 only (h=)"
	case have["s"] != "" && !listed(have["s"], "email") && !listed(have["s"], "*"):
		return "the record is for other services than mail (s=)"
	}
	return ""
}

// keyOf returns the octets of the key in p=.
func keyOf(tags map[string]string) (key, fault string) {
	p, ok := tags["p"]
	switch {
	case !ok:
		return "", "the record has no key (p=)"
	case p == "":
		return "", "the record revokes the key (p= is empty)"
	}
	octets, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(p), ""))
	if err != nil {
		return "", "the key in the record (p=) is cut off or damaged"
	}
	return string(octets), ""
}

// listed reports whether a list with colons has the word.
func listed(list, word string) bool {
	for w := range strings.SplitSeq(list, ":") {
		if strings.EqualFold(strings.TrimSpace(w), word) {
			return true
		}
	}
	return false
}

// parseTags parses a list of tags (RFC 6376 §3.2).
func parseTags(text string) (tags map[string]string, ok bool) {
	tags = make(map[string]string)
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, found := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if _, twice := tags[name]; !found || twice {
			return nil, false
		}
		tags[name] = strings.TrimSpace(value)
	}
	return tags, true
}
