package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"straks/api"
	"straks/internal/faults"
	"straks/internal/issuer"
	"straks/internal/suggest"
)

// Issuer is a party whose JSON web tokens are accepted beside the static tokens of organisations.
type Issuer struct {
	Name string // in organisation.identities, logs and metrics. Required
	// Preset fills in the keys below that are left out: "maskinporten", "altinn", "platform-access-token" (see
	// configs/straks.toml), or "" for none.
	Preset string
	// Issuer is the claim iss of its tokens, octet for octet. Without jwks_url and keys_file also the URL whose
	// discovery document names the keys. Required, except with a preset that has one.
	Issuer   string
	JWKSURL  string `toml:"jwks_url"` // where its keys are: the discovery document says
	KeysFile string // its keys in a file instead, PEM or JWKS, read again every 30 s: none
	CAFile   string // PEM certificates that vouch for its server: the system's
	Header   string // with the token alone: none, the token is in Authorization
	// Audiences are the values of aud of which a token must have one: none, aud does not matter.
	Audiences []string
	Leeway    time.Duration // for clocks that differ: 30s
	// OrganisationClaims name its bearer: claims, or paths like "consumer.ID". Required, except with a preset.
	OrganisationClaims []string
	// ScopeClaim lists what the bearer may do: "scope". CreateScopes, ReadScopes and SupportScopes are its words
	// for our three scopes.
	ScopeClaim    string
	CreateScopes  []string // default altinn:serviceowner/notifications.create
	ReadScopes    []string // default straks:read
	SupportScopes []string // default straks:support
	// AlwaysCreate lets every token of the issuer place orders, whatever its scopes: false.
	AlwaysCreate bool

	prefix string // of the values of the claims
}

func (i *Issuer) setDefaults() {
	*i = Issuer{Leeway: 30 * time.Second, ScopeClaim: "scope", CreateScopes: []string{api.ScopeCreate},
		ReadScopes: []string{api.ScopeRead}, SupportScopes: []string{api.ScopeSupport}}
}

// presets are issuers whose tokens are documented.
var presets = map[string]Issuer{
	// https://docs.digdir.no/docs/Maskinporten/maskinporten_protocol_token
	"maskinporten": {Issuer: "https://maskinporten.no/", OrganisationClaims: []string{"consumer.ID"}, prefix: "0192:"},
	// A token of Maskinporten that was exchanged at Altinn:
	// https://docs.altinn.studio/api/scenarios/authentication/
	"altinn": {Issuer: "https://platform.altinn.no/authentication/api/v1/openid/",
		OrganisationClaims: []string{"urn:altinn:orgNumber", "urn:altinn:org"}},
	// Altinn's apps sign it themselves: the issuer is the organisation.
	"platform-access-token": {Header: "PlatformAccessToken", OrganisationClaims: []string{"iss"}, AlwaysCreate: true},
}

// complete fills in what the preset has and the file has not.
func (i *Issuer) complete() {
	p := presets[i.Preset]
	i.prefix = p.prefix
	i.AlwaysCreate = i.AlwaysCreate || p.AlwaysCreate
	for _, s := range []struct{ dst, src *string }{{&i.Issuer, &p.Issuer}, {&i.Header, &p.Header}} {
		if *s.dst == "" {
			*s.dst = *s.src
		}
	}
	if len(i.OrganisationClaims) == 0 {
		i.OrganisationClaims = p.OrganisationClaims
	}
}

func (i *Issuer) check(c *checker) {
	c.Name("name", i.Name)
	if _, known := presets[i.Preset]; i.Preset != "" && !known {
		c.OneOf("preset", i.Preset, slices.Sorted(maps.Keys(presets))...)
	}
	i.complete()
	c.Required("issuer", i.Issuer)
	c.Unless(len(i.OrganisationClaims) > 0, "organisation_claims", `is missing: name the claim that names the bearer, as "client_id"`)
	c.Duration("leeway", i.Leeway, 0, 5*time.Minute)
	c.Unless(i.Header == "" || validHeader(i.Header), "header", "is %q, not a name of a header of its own, like PlatformAccessToken", i.Header)
	i.checkKeys(c)
	if len(i.Audiences) == 0 && i.Preset == "" {
		c.warn("audiences", "is missing: tokens that were issued for other services are accepted here too")
	}
}

// checkKeys checks where the keys come from.
func (i *Issuer) checkKeys(c *checker) {
	switch {
	case i.KeysFile != "" && i.JWKSURL != "":
		c.Add("keys_file", "and jwks_url exclude each other: give one of them")
	case i.KeysFile != "":
		c.reads("keys_file", i.KeysFile)
		_, err := issuer.ReadKeys(i.KeysFile)
		c.Unless(err == nil, "keys_file", "%v", err)
	case i.JWKSURL != "":
		err := issuer.CheckURL(i.JWKSURL)
		c.Unless(err == nil, "jwks_url", "%v", err)
	case i.Issuer != "":
		err := issuer.CheckURL(i.Issuer)
		c.Unless(err == nil, "issuer", "%v, or give jwks_url or keys_file", err)
	}
	if i.CAFile != "" {
		c.authorities("ca_file", i.CAFile)
	}
}

// validHeader reports whether a header can hold a token and nothing else.
func validHeader(name string) bool {
	for _, r := range name {
		if !('a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9' || r == '-') {
			return false
		}
	}
	return !slices.Contains([]string{"authorization", "cookie", "host", "content-type", "content-length"}, strings.ToLower(name))
}

// checkIssuers checks all issuers, and the identities that organisations have at them.
func (cfg *Config) checkIssuers(c *checker) {
	names, claims, bearers := make(map[string]string), make(map[string]string), make(map[string]string)
	for n := range cfg.Issuers {
		at, i := c.at("issuer", n), &cfg.Issuers[n]
		i.check(at)
		at.Unique("name", i.Name, names)
		at.Unique("issuer", i.Issuer, claims)
	}
	for n, o := range cfg.Organisations {
		at := c.at("organisation", n).in("identities")
		for name, values := range o.Identities {
			at.Unless(names[name] != "", name, "is no issuer%s", didYouMean(name, slices.Collect(maps.Keys(names))))
			for j, value := range values {
				key := faults.Index(name, j)
				at.Unless(strings.TrimSpace(value) != "", key, "is blank")
				at.Unique(key, name+" "+value, bearers)
			}
		}
	}
	for n := range cfg.Issuers {
		if name := cfg.Issuers[n].Name; !slices.ContainsFunc(cfg.Organisations, func(o Organisation) bool { return len(o.Identities[name]) > 0 }) {
			c.at("issuer", n).warn("name", "is in no organisation's identities: its tokens are good for nothing")
		}
	}
}

func didYouMean(name string, known []string) string {
	slices.Sort(known)
	if near := suggest.For(name, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return fmt.Sprintf("; there are: %s", strings.Join(known, ", "))
}

// TokenIssuer is an issuer as the daemon wires it: its keys, and what its tokens are good for.
type TokenIssuer struct {
	Keys issuer.Config
	Use  api.TokenIssuer // without its Issuer
}

// TokenIssuers returns the issuers of JSON web tokens.
func (cfg *Config) TokenIssuers() []TokenIssuer {
	var all []TokenIssuer
	for _, i := range cfg.Issuers {
		t := TokenIssuer{
			Keys: issuer.Config{Name: i.Name, Issuer: i.Issuer, JWKSURL: i.JWKSURL, KeysFile: i.KeysFile, CAFile: i.CAFile,
				Audiences: i.Audiences, Leeway: i.Leeway},
			Use: api.TokenIssuer{Header: i.Header, Claims: i.OrganisationClaims, Prefix: i.prefix, Organisations: make(map[string]string),
				ScopeClaim: i.ScopeClaim, Scopes: make(map[string][]string)},
		}
		if i.KeysFile == "" && cfg.Journal.Path != "" {
			t.Keys.SavedKeys = filepath.Join(filepath.Dir(cfg.Journal.Path), "issuer-"+i.Name+".json")
		}
		if i.AlwaysCreate {
			t.Use.Grants = []string{api.ScopeCreate}
		}
		for ours, theirs := range map[string][]string{api.ScopeCreate: i.CreateScopes, api.ScopeRead: i.ReadScopes, api.ScopeSupport: i.SupportScopes} {
			for _, word := range theirs {
				t.Use.Scopes[word] = append(t.Use.Scopes[word], ours)
			}
		}
		for _, o := range cfg.Organisations {
			for _, value := range o.Identities[i.Name] {
				t.Use.Organisations[strings.TrimPrefix(value, i.prefix)] = o.Name
			}
		}
		all = append(all, t)
	}
	return all
}
