package doctor

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/emersion/go-msgauth/dmarc"
	"golang.org/x/net/publicsuffix"
)

// dmarcCheck looks at the DMARC policy for mails from a domain (RFC 7489), and whether SPF and DKIM speak for
// that domain: whether the domain of the return path, and that of the signature, are aligned with it.
func dmarcCheck(ctx context.Context, r *Resolver, domain, returnPath, signer string) []Finding {
	policyOf, record, all := dmarcRecord(ctx, r, domain)
	if record == nil {
		return all
	}
	policy, key := record.Policy, "p"
	if policyOf != domain && record.SubdomainPolicy != "" {
		policy, key = record.SubdomainPolicy, "sp"
	}
	spfAligned := returnPath != "" && aligned(domain, returnPath, record.SPFAlignment)
	dkimAligned := signer != "" && aligned(domain, signer, record.DKIMAlignment)
	f := found(OK, "The policy of %s is %s=%s. ", policyOf, key, policy)
	switch {
	case dkimAligned && spfAligned:
		f.Says += "The signature and the return path both count."
	case dkimAligned:
		f.Says += fmt.Sprintf("The signature counts. The return path does not (%s).", whyNot(domain, returnPath, record.SPFAlignment, "aspf"))
	default:
		f = unsigned(f, domain, signer, record)
		if spfAligned {
			f.Says += " The return path counts: mails that are forwarded fail."
			f.Level = Note
		} else {
			f.Says += fmt.Sprintf(" Nor does the return path (%s): every mail fails DMARC.", whyNot(domain, returnPath, record.SPFAlignment, "aspf"))
		}
	}
	if policy == dmarc.PolicyNone {
		f.Says += fmt.Sprintf(" With %s=none receivers take forged mails too: raise it to quarantine and reject when the reports show no failures.", key)
	}
	return append(all, f)
}

// unsigned completes the finding of mails whose signature does not count.
func unsigned(f Finding, domain, signer string, record *dmarc.Record) Finding {
	f.Level = Fix
	if signer == "" {
		f.Says += "No [[dkim]] of straks signs for the domain: if the relay does not sign either, no signature counts."
		f.Run = []string{"straks dkim new " + domain}
		return f
	}
	f.Says += fmt.Sprintf("The signature does not count (%s).", whyNot(domain, signer, record.DKIMAlignment, "adkim"))
	f.Run = []string{"straks dkim new " + domain}
	return f
}

// whyNot says why a domain is not aligned with that of From.
func whyNot(from, other string, mode dmarc.AlignmentMode, tag string) string {
	switch {
	case other == "":
		return "it is empty"
	case mode == dmarc.AlignmentStrict && organisational(from) == organisational(other):
		return fmt.Sprintf("it is of %s, and %s=s wants %s itself", other, tag, from)
	}
	return fmt.Sprintf("it is of %s", other)
}

// dmarcRecord returns the record that counts for a domain: its own, or that of its organisational domain
// (RFC 7489 §6.6.3). Without one, the findings say why.
func dmarcRecord(ctx context.Context, r *Resolver, domain string) (of string, record *dmarc.Record, all []Finding) {
	for _, of = range []string{domain, organisational(domain)} {
		name := "_dmarc." + of
		texts, _, err := r.txt(ctx, name)
		if err != nil {
			return of, nil, []Finding{r.unreachable("the record "+name, err)}
		}
		records := dmarcRecords(texts)
		switch {
		case len(records) > 1:
			f := found(Fix, "There are %d DMARC records, and receivers ignore them all: keep one.", len(records))
			for _, text := range records {
				f.Remove = append(f.Remove, TXT(name, text))
			}
			f.Publish = []string{TXT(name, records[0])}
			return of, nil, []Finding{f}
		case len(records) == 1:
			record, err := dmarc.Parse(records[0])
			if err != nil {
				return of, nil, []Finding{damagedDMARC(name, of, records[0], err)}
			}
			return of, record, nil
		}
	}
	f := found(Fix, "There is no DMARC record for %s: large receivers want one, and forged mails are not refused.", domain)
	f.Publish = []string{TXT("_dmarc."+of, defaultDMARC(of))}
	return of, nil, []Finding{f}
}

func damagedDMARC(name, of, text string, err error) Finding {
	f := found(Fix, "The DMARC record is wrong, and receivers ignore it: %s.", strings.TrimPrefix(err.Error(), "dmarc: "))
	f.Remove = []string{TXT(name, text)}
	f.Publish = []string{TXT(name, defaultDMARC(of))}
	return f
}

// defaultDMARC is a record to begin with: it changes nothing but that reports come.
func defaultDMARC(of string) string {
	return "v=DMARC1; p=none; rua=mailto:postmaster@" + of
}

// dmarcRecords returns the DMARC records among the texts: those that begin with the version (RFC 7489 §6.6.3).
func dmarcRecords(texts []string) []string {
	var records []string
	for _, text := range texts {
		version, _, _ := strings.Cut(text, ";")
		name, value, _ := strings.Cut(version, "=")
		if strings.TrimSpace(name) == "v" && strings.TrimSpace(value) == "DMARC1" {
			records = append(records, text)
		}
	}
	return records
}

// aligned reports whether another domain counts for that of From (RFC 7489 §3.1).
func aligned(from, other string, mode dmarc.AlignmentMode) bool {
	if mode == dmarc.AlignmentStrict {
		return from == other
	}
	return organisational(from) == organisational(other)
}

// organisational returns the domain that somebody registered, by the public suffix list (RFC 7489 §3.2).
func organisational(domain string) string {
	of, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return domain
	}
	return cmp.Or(of, domain)
}
