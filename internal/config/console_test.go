package config

import (
	"strings"
	"testing"
	"time"

	"straks/console"
)

const consoleHash = "$2a$12$OK7DKQtFdccYtU21ioo.OeiPtik2SXVEpF5DR7mwAaO16rEBer4Ei"

// consoleText is a configuration with a console.
func consoleText(section string) string {
	return strings.Replace(smallest, `"telco.password"`, `""`, 1) + "\n[console]\n" + section
}

const consoleUsers = "\n[[console.user]]\nname = \"kari\"\nbcrypt = \"" + consoleHash + "\"\nroles = [\"support\", \"operate\"]\n"

// TestConsole: users and provider as the console gets them; without the section there is none.
func TestConsole(t *testing.T) {
	cfg, _, found, err := parse(consoleText(`listen = "127.0.0.1:8443"
url = "https://console.example.org/"
[console.oidc]
issuer = "https://login.example.org"
client_id = "straks"
support = ["desk"]
operate = ["ops", "desk"]
`+consoleUsers), now, false)
	if err != nil || len(found) > 0 {
		t.Fatal(err, found)
	}
	c := &cfg.Console
	if all := c.Accounts(); !c.On() || len(all) != 1 || all[0].Name != "kari" || len(all[0].Roles) != 2 || all[0].Roles[1] != console.Operate {
		t.Errorf("%+v", c.Accounts())
	}
	p := c.Provider()
	if p.Name != "login.example.org" || p.Redirect != "https://console.example.org/login/oidc/callback" || p.RoleClaim != "groups" ||
		len(p.Roles["desk"]) != 2 || len(p.Roles["ops"]) != 1 || c.Session != 12*time.Hour || c.Idle != 2*time.Hour {
		t.Errorf("%+v", p)
	}
	cfg, _, found, err = parse(strings.Replace(smallest, `"telco.password"`, `""`, 1), now, false)
	if err != nil || len(found) > 0 || cfg.Console.On() || cfg.Console.Provider() != nil {
		t.Errorf("without the section: %+v %v %v", cfg.Console, found, err)
	}
}

// TestConsoleFaults: all that is wrong, with its key.
func TestConsoleFaults(t *testing.T) {
	for _, c := range []struct{ section, key, says string }{
		{"", "console.listen", "is missing"},
		{`listen = "127.0.0.1:1"`, "console.user", "nobody can log in"},
		{`listen = "0.0.0.0:8443"` + consoleUsers, "console.tls_cert_file", "in the clear"},
		{`listen = "127.0.0.1:9090"` + consoleUsers, "console.listen", "is that of metrics"},
		{"listen = \"127.0.0.1:1\"\nidle = \"1s\"" + consoleUsers, "console.idle", "must be between"},
		{"listen = \"127.0.0.1:1\"\nurl = \"http://console.example.org\"" + consoleUsers, "console.url", "https://"},
		{"listen = \"127.0.0.1:1\"\nurl = \"https://console.example.org/x\"" + consoleUsers, "console.url", "https://"},
		{`listen = "127.0.0.1:1"` + strings.Replace(consoleUsers, "$2a", "$9a", 1), "console.user[0].bcrypt", "no bcrypt hash"},
		{`listen = "127.0.0.1:1"` + strings.Replace(consoleUsers, "$12$", "$05$", 1), "console.user[0].bcrypt", "cost 5"},
		{`listen = "127.0.0.1:1"` + strings.Replace(consoleUsers, "support", "admin", 1), "console.user[0].roles[0]", "view, support, operate"},
		{`listen = "127.0.0.1:1"` + strings.Replace(consoleUsers, `"support", "operate"`, "", 1), "console.user[0].roles", "is empty"},
		{`listen = "127.0.0.1:1"` + consoleUsers + consoleUsers, "console.user[1].name", "console.user[0].name already"},
		{"listen = \"127.0.0.1:1\"\n[console.oidc]\nissuer = \"https://x.example\"\nclient_id = \"c\"\nview = [\"v\"]", "console.url", "is missing"},
		{"listen = \"127.0.0.1:1\"\nurl = \"https://c.example\"\n[console.oidc]\nissuer = \"http://x.example\"\nclient_id = \"c\"\nview = [\"v\"]", "console.oidc.issuer", "https"},
		{"listen = \"127.0.0.1:1\"\nurl = \"https://c.example\"\n[console.oidc]\nissuer = \"https://x.example\"\nview = [\"v\"]", "console.oidc.client_id", "is missing"},
		{"listen = \"127.0.0.1:1\"\nurl = \"https://c.example\"\n[console.oidc]\nissuer = \"https://x.example\"\nclient_id = \"c\"", "console.oidc.view", "nobody would have a role"},
	} {
		_, _, found, err := parse(consoleText(c.section), now, false)
		if err != nil || len(found) != 1 || found[0].Key != c.key || !strings.Contains(found[0].Message, c.says) {
			t.Errorf("%s: %v %v; want %s %s", c.section, found, err, c.key, c.says)
		}
	}
}
