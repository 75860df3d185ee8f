package dsn

import (
	"slices"
	"strings"
)

// actions are the words of RFC 3464 §2.3.3.
var actions = map[string]Verdict{
	"delivered": Delivered, "relayed": Relayed, "expanded": Expanded, "delayed": Delayed, "failed": Bounced,
}

// report is a delivery report (RFC 3464), or several in one mail.
type report struct {
	groups []fields // one for each recipient; the fields of the message are in the first
	human  string   // what the server wrote for people
}

// findReport returns the delivery report that is attached in the fewest mails: a returned mail may have
// one of its own.
func (t *tree) findReport() (report, bool) {
	level := -1
	for _, p := range t.parts {
		if isStatus(p) && (level < 0 || p.attached < level) {
			level = p.attached
		}
	}
	var r report
	for _, p := range t.parts {
		switch {
		case p.attached != level:
		case isStatus(p):
			r.groups = append(r.groups, groups(blocks(p.decoded(MaxOctets)))...)
		case len(r.groups) > 0 || len(r.human) >= maxText: // the returned mail may come after the report, as text
		case strings.HasPrefix(p.kind, "text/") && p.kind != "text/rfc822-headers":
			r.human += string(p.decoded(maxText)) + "\n\n"
		}
	}
	r.human = r.human[:min(len(r.human), maxText)]
	return r, level >= 0
}

// isStatus reports whether a part is a report: RFC 3464 §2, or RFC 6533 §3 for UTF-8 addresses.
func isStatus(p part) bool {
	return p.kind == "message/delivery-status" || p.kind == "message/global-delivery-status"
}

// groups joins blocks of fields into one group for each recipient. A block belongs to the group before
// it until it repeats a field that each recipient has once: some servers write more blank lines than
// RFC 3464 §2.1 allows, or none after the fields of the message.
func groups(blocks []fields) []fields {
	var all []fields
	for _, block := range blocks {
		if len(all) == 0 || repeats(all[len(all)-1], block) {
			all = append(all, nil)
		}
		last := &all[len(all)-1]
		*last = append(*last, block...)
	}
	return all
}

func repeats(group, block fields) bool {
	return slices.ContainsFunc([]string{"final-recipient", "action", "status"}, func(name string) bool {
		return group.has(name) && block.has(name)
	})
}

// precedence orders the verdicts of several recipients, which an alias can have: a recipient that has the
// mail counts before one that may get it later, and that one before a failure.
var precedence = []Verdict{Delivered, Relayed, Expanded, Delayed}

// result returns what the report says.
func (r report) result() Result {
	var all []Result
	for _, group := range r.groups {
		if result := readGroup(group, r.human); result.Verdict != Nothing {
			all = append(all, result)
		}
	}
	for _, v := range precedence {
		if i := slices.IndexFunc(all, func(r Result) bool { return r.Verdict == v }); i >= 0 {
			return all[i]
		}
	}
	if len(all) == 0 {
		return Result{}
	}
	return all[0]
}

// readGroup reads the fields of one recipient: Action first, then the code from Status, else from
// Diagnostic-Code, else from the human text.
func readGroup(group fields, human string) Result {
	status := parseStatus(group.bare("status"))
	action := group.word("action")
	verdict, known := actions[action]
	if !known {
		action, verdict = "", byClass(group, status)
	}
	r := Result{Verdict: verdict, Action: action}
	if status.said() {
		r.Code = status
	}
	switch {
	case verdict == Delayed && status == Code{4, 4, 7} && isLastWord(group, human):
		r.Verdict, r.Phrase = Transient, find(withoutAddresses(human), expiryPhrases)
	case verdict == Bounced:
		f := cause(group, status, human)
		r.Code, r.Reply, r.MadeUp = f.code, f.reply, f.madeUp
		r.Verdict, r.Phrase = reason(f, status[0])
	}
	return r
}

// parseStatus reads a Status (RFC 3464 §2.3.4).
func parseStatus(value string) Code {
	if m := enhancedCode.FindStringSubmatch(value); m != nil {
		return parseCode(m[1])
	}
	return Code{}
}

// byClass returns the verdict of a report without an Action that is known.
func byClass(group fields, status Code) Verdict {
	class := status[0]
	if class == 0 {
		diag := diagnosis(group.get("diagnostic-code"))
		class = max(diag.code[0], diag.reply/100)
	}
	switch class {
	case 2:
		return Delivered
	case 4:
		return Delayed
	case 5:
		return Bounced
	}
	return Nothing
}

// isLastWord reports whether a delayed mail with 4.4.7 (delivery time expired) has been given up.
// OpenSMTPD writes so, and nothing after it. Exchange and Amazon SES write the same code in a warning,
// and say there that they try again.
func isLastWord(group fields, human string) bool {
	if group.has("will-retry-until") {
		return false
	}
	return !group.has("diagnostic-code") || strings.Contains(strings.ToLower(human), "envelope expired")
}

// cause returns what the report says about a failure. The text of the first source that has a code goes
// with it; where none has, that of the Diagnostic-Code and of the server.
func cause(group fields, status Code, human string) finding {
	diag := diagnosis(group.get("diagnostic-code"))
	if status.said() && status[0] != 2 {
		return finding{status, diag.reply, diag.text, diag.reply != 0 && diag.code != status}
	}
	if diag.code != (Code{}) || diag.reply != 0 {
		return diag
	}
	// Haraka writes the reply into a comment of Status.
	if f := diagnosis(group.get("status")); f.reply != 0 {
		return f
	}
	f := humanText(human)
	f.text = diag.text + "\n" + f.text
	return f
}
