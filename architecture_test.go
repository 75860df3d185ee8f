package straks_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// forbidden is the design's table of imports that must not be, and why. A package
// stands for all beneath it, except those named in but.
var forbidden = []struct {
	importer string
	but      []string
	imported string
	why      string
}{
	{"dlr", nil, "straks", "what receipts mean depends on nothing of ours, so that it can be read and fuzzed alone"},
	{"dlr/dsn", nil, "straks", "mail reports and receipts of SMSCs have nothing in common"},
	{"smpp", nil, "straks/orders", "the gateway carries messages; what an order is is none of its business"},
	{"smpp", nil, "straks/dlr", "the gateway passes receipts on unread; dialects belong to the channel"},
	{"smpp", nil, "straks/api", "imports run one way: cmd, internal/daemon, api, orders"},
	{"smpp", nil, "straks/smtp", "the two protocols know nothing of each other"},
	{"smtp", nil, "straks/orders", "the pool carries mails; what an order is is none of its business"},
	{"smtp", nil, "straks/dlr", "the pool passes reports on unread"},
	{"smtp", nil, "straks/api", "imports run one way: cmd, internal/daemon, api, orders"},
	{"smtp", nil, "straks/smpp", "the two protocols know nothing of each other"},
	{"smtp/returnpath", nil, "straks", "what an address of ours is depends on nothing else of ours"},
	{"orders", nil, "straks/api", "imports run one way: cmd, internal/daemon, api, orders"},
	{"orders", []string{"orders/sms"}, "straks/smpp", "orders runs over any carrier; only the SMS channel knows SMPP"},
	{"orders", []string{"orders/mail"}, "straks/smtp", "orders runs over any carrier; only the e-mail channel knows SMTP"},
	{"orders", []string{"orders/sms", "orders/mail"}, "straks/dlr", "a report comes in the domain's words; channels translate it"},
	{"orders", []string{"orders/bolt"}, "straks/orders/bolt", "orders runs over any journal"},
	{"orders", []string{"orders/ledger", "orders/bolt", "orders/postgres", "orders/journaltest"}, "straks/orders/ledger", "the rules of the journal are for its engines"},
	{"orders/sealed", nil, "straks", "what seals a recipient depends on nothing else of ours"},
	{"orders/ledger", nil, "straks/internal", "the rules need the domain only"},
	{"orders/ledger", nil, "straks/orders/sms", "the rules need the domain only"},
	{"orders/ledger", nil, "straks/orders/mail", "the rules need the domain only"},
	{"orders", []string{"orders/postgres"}, "straks/orders/postgres", "orders runs over any journal"},
	{"orders/postgres", nil, "straks/orders/sms", "an engine stores what the ledger puts"},
	{"orders/postgres", nil, "straks/orders/mail", "an engine stores what the ledger puts"},
	{"orders/bolt", nil, "straks/orders/sms", "an engine stores what the ledger puts"},
	{"orders/bolt", nil, "straks/orders/mail", "an engine stores what the ledger puts"},
	{"api", nil, "straks/smpp", "HTTP knows orders only, so that a channel can change without it"},
	{"api", nil, "straks/smtp", "HTTP knows orders only, so that a channel can change without it"},
	{"api", nil, "straks/dlr", "HTTP knows orders only"},
	{"api", nil, "straks/orders/sms", "HTTP knows orders only, so that a channel can change without it"},
	{"api", nil, "straks/orders/mail", "HTTP knows orders only, so that a channel can change without it"},
	{"api", nil, "straks/hooks", "a webhook sends what the API's feed shows; the API knows nothing of webhooks"},
	{"hooks", nil, "straks/api", "the daemon gives the form of an entry, so that deliveries can be tested alone"},
	{"hooks", nil, "straks/smpp", "webhooks know the feed only"},
	{"hooks", nil, "straks/smtp", "webhooks know the feed only"},
	{"hooks", nil, "straks/orders/bolt", "webhooks run over any journal"},
	{"codes", nil, "straks/api", "HTTP and its words for callers are the API's"},
	{"codes", nil, "straks/smpp", "codes are sent as orders, over any carrier"},
	{"codes", nil, "straks/smtp", "codes are sent as orders, over any carrier"},
	{"codes", nil, "straks/dlr", "codes are sent as orders, over any carrier"},
	{"codes", nil, "straks/hooks", "a webhook sends what the feed shows; verifications know nothing of webhooks"},
	{"codes", nil, "straks/orders/bolt", "verifications are kept by any journal"},
	{"codes", nil, "straks/internal/config", "the daemon gives keys and texts"},
	{"api/client", nil, "straks/api", "the client knows the wire and nothing of the server, or tests would hold one against itself"},
	{"api/client", nil, "straks/orders", "the client knows the wire and nothing of the server"},
	{"console", nil, "straks/smpp", "the console says what it needs; internal/daemon gives it"},
	{"console", nil, "straks/smtp", "the console says what it needs; internal/daemon gives it"},
	{"console", nil, "straks/dlr", "the console says what it needs; internal/daemon gives it"},
	{"console", nil, "straks/orders", "the console says what it needs; internal/daemon gives it"},
	{"console", nil, "straks/api", "the console says what it needs; internal/daemon gives it"},
	{"console", nil, "straks/internal/config", "the configuration knows the console, not the other way round"},
	{"internal/recent", nil, "straks", "what was counted lately depends on nothing of ours"},
	{"internal/browsertest", nil, "straks", "what two packages share knows neither"},
	{"internal", nil, "straks/cmd", "nobody imports a program"},
	{"internal/doctor", nil, "straks/orders", "it looks at what lies outside; orders are none of its business"},
	{"internal/doctor", nil, "straks/internal/daemon", "it works without a daemon; the command asks the one that runs"},
	{"internal/handover", nil, "straks", "a vocabulary that orders and both channels share depends on none of them"},
	{"internal/bounded", nil, "straks", "what two packages share knows neither"},
	{"internal/canary", nil, "straks/orders", "a search knows nothing of what it looks through"},
	{"internal/clientcert", nil, "straks/api", "whose a certificate is is no matter of who may call"},
	{"internal/clientcert", nil, "straks/orders", "whose a certificate is is no matter of what the owner wants"},
	{"internal/connlimit", nil, "straks/api", "what two packages share knows neither"},
	{"internal/cost", nil, "straks", "an amount of money depends on nothing of ours"},
	{"internal/disktest", nil, "straks", "what two packages share knows neither"},
	{"internal/inbox", nil, "straks/orders", "the inbox sees what carriers see, and calls the API as any client does"},
	{"internal/inbox", nil, "straks/internal", "the inbox sees what carriers see, and calls the API as any client does"},
	{"internal/faults", nil, "straks", "what two packages share knows neither"},
	{"internal/faultproxy", nil, "straks", "a network knows nothing of what it carries"},
	{"internal/forward", nil, "straks/orders", "a request is passed on as it came; what an order is is none of its business"},
	{"internal/forward", nil, "straks/api", "the API forwards by it"},
	{"internal/pemfile", nil, "straks", "what two packages share knows neither"},
	{"internal/pgcluster", nil, "straks", "a database server knows nothing of what is kept in it"},
	{"internal/limits", nil, "straks/api", "limits know orders only"},
	{"internal/limits", nil, "straks/orders/bolt", "limits count over any journal"},
	{"internal/memnet", nil, "straks", "a network knows nothing of what it carries"},
	{"internal/logqueue", nil, "straks", "what two packages share knows neither"},
	{"internal/logtest", nil, "straks", "what two packages share knows neither"},
	{"internal/lot", nil, "straks", "what two packages share knows neither"},
	{"internal/printable", nil, "straks", "what two packages share knows neither"},
	{"internal/suggest", nil, "straks", "what two packages share knows neither"},
	{"internal/audit", nil, "straks/api", "what two packages share knows neither"},
	{"internal/audit", nil, "straks/orders", "what two packages share knows neither"},
	{"internal/issuer", nil, "straks/api", "what a token claims is no matter of who may call"},
	{"internal/issuer", nil, "straks/orders", "what a token claims is no matter of what its bearer wants"},
	{"internal/numbers", nil, "straks", "what a number is depends on nothing of ours"},
	{"internal/ratelog", nil, "straks", "what two packages share knows neither"},
	{"internal/rawwords", nil, "straks", "what two packages share knows neither"},
	{"internal/silence", nil, "straks", "what two packages share knows neither"},
	{"internal/tlsfault", nil, "straks", "what two packages share knows neither"},
}

// foundations are packages that the package in the folder above is built on. They must
// not import it.
var foundations = []string{"smpp/session", "smpp/wire", "smpp/gsm"}

// only names packages that few places may import, and why.
var only = []struct {
	imported string
	places   []string
	why      string
}{
	{"straks/orders/bolt", []string{"internal/daemon", "cmd/straks", "bench", "orders/bolt/bolttest"}, "the daemon, the operator's commands and the benchmark (which fills a journal) choose the engine; all others take orders.Journal"},
	{"straks/orders/postgres", []string{"internal/daemon", "internal/config", "cmd/straks", "bench"}, "as above; the configuration has it check how the database is reached"},
	{"github.com/jackc/pgx", []string{"orders/postgres"}, "one package speaks to the database; all others take orders.Journal"},
	{"straks/internal/daemon", []string{"cmd/straks", "internal/daemon"}, "what is wired at the top is imported by programs only"},
	{"go.etcd.io/bbolt", []string{"orders/bolt"}, "a second journal must be able to stand beside the first"},
	{"github.com/fiorix/go-smpp", []string{"smpp/wire", "smpp/smsctest"}, "its codec needs guarding in one place; the simulator has another codec than the gateway, so that one checks the other"},
	{"github.com/nyaruka/phonenumbers", []string{"internal/numbers"}, "numbers are E.164 from there on"},
	{"github.com/emersion/go-smtp", []string{"smtp/relaytest", "smtp/inbound"}, "its client is not for the way out; its server needs guarding in one place; the relay for tests is its server too"},
	{"github.com/emersion/go-msgauth", []string{"smtp", "internal/doctor"}, "mails are signed where they are built; nobody else changes them; the doctor reads DMARC records"},
	{"github.com/miekg/dns", []string{"internal/doctor"}, "nothing asks the DNS at send time, except for the addresses of carriers"},
	{"github.com/go-jose/go-jose", []string{"internal/issuer"}, "one package verifies web tokens of callers; all others take claims"},
	{"github.com/BurntSushi/toml", []string{"internal/config"}, "one package reads configuration; the others take structs"},
	{"github.com/spf13/cobra", []string{"cmd/straks"}, "only the program has a command line"},
	{"github.com/coreos/go-systemd", []string{"internal/daemon", "cmd/straks"}, "only the daemon knows what runs it, and its log what reads it"},
	{"github.com/lmittmann/tint", []string{"cmd/straks"}, "only the program knows whether a person reads the log"},
	{"github.com/coreos/go-oidc/v3", []string{"console"}, "logins of persons are the console's"},
	{"encoding/gob", nil, "stored and sent forms are written out, so that they can be kept stable"},
	{"log", []string{"api"}, "logs are slog, passed in; net/http alone wants the old kind"},
	{"math/rand", nil, "math/rand/v2 is there, and crypto/rand for secrets"},
}

// vague names do not say what is inside.
var vague = []string{"util", "utils", "helper", "helpers", "common", "misc", "shared", "lib"}

const maxLines = 400

// source is one Go file of the module.
type source struct {
	path  string // from the root, with slashes
	dir   string
	file  *ast.File
	lines int
}

func (s *source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

// sources parses every Go file of the module.
func sources(t *testing.T) []*source {
	t.Helper()
	fset := token.NewFileSet()
	var all []*source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		path = filepath.ToSlash(path)
		all = append(all, &source{path, filepath.ToSlash(filepath.Dir(path)), file, fset.File(file.FileStart).LineCount()})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("found only %d Go files: is this the module's root?", len(all))
	}
	return all
}

func (s *source) imports() []string {
	var paths []string
	for _, spec := range s.file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic(err) // the parser has accepted it
		}
		paths = append(paths, path)
	}
	return paths
}

// within reports whether path is parent or beneath it.
func within(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+"/")
}

func withinAny(path string, parents []string) bool {
	return slices.ContainsFunc(parents, func(parent string) bool { return within(path, parent) })
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		for _, path := range s.imports() {
			for _, rule := range forbidden {
				own := within(path, "straks/"+rule.importer) && !within(rule.imported, "straks/"+rule.importer)
				if within(s.dir, rule.importer) && !withinAny(s.dir, rule.but) && within(path, rule.imported) && !own && !s.test() {
					t.Errorf("%s imports %s: %s", s.path, path, rule.why)
				}
			}
			if above := filepath.ToSlash(filepath.Dir(s.dir)); slices.Contains(foundations, s.dir) && path == "straks/"+above && !s.test() {
				t.Errorf("%s imports %s, which is built on it", s.path, path)
			}
			for _, rule := range only {
				allowed := withinAny(s.dir, rule.places)
				module := strings.Contains(rule.imported, ".") // not one package of the standard library
				if (path == rule.imported || module && within(path, rule.imported)) && !allowed && !s.test() {
					t.Errorf("%s imports %s: %s", s.path, path, rule.why)
				}
			}
		}
	}
}

var fileName = regexp.MustCompile(`[\w/]+\.go\b`)

// TestPackageComments: each package has one comment, which is its design. The files that
// it names exist, and where it maps the package's files it maps all of them.
func TestPackageComments(t *testing.T) {
	comments, files := make(map[string][]*source), make(map[string][]string)
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		files[s.dir] = append(files[s.dir], filepath.Base(s.path))
		if s.file.Doc != nil {
			comments[s.dir] = append(comments[s.dir], s)
			if s.file.Name.Name != "main" && !strings.HasPrefix(s.file.Doc.Text(), "Package "+s.file.Name.Name) {
				t.Errorf("%s: the comment does not begin with \"Package %s\"", s.path, s.file.Name.Name)
			}
		}
	}
	for dir, names := range files {
		if len(comments[dir]) != 1 {
			t.Errorf("%s has %d package comments, want one", dir, len(comments[dir]))
			continue
		}
		checkMap(t, comments[dir][0], names)
	}
}

// checkMap checks the file names in a package comment. Files of one system
// (…_linux.go) need not be in the map.
func checkMap(t *testing.T, s *source, files []string) {
	t.Helper()
	named := fileName.FindAllString(s.file.Doc.Text(), -1)
	for _, name := range named {
		if _, err := os.Stat(filepath.Join(s.dir, name)); err != nil {
			t.Errorf("%s: the comment names %s: %v", s.path, name, err)
		}
	}
	for _, name := range files {
		system := strings.HasSuffix(name, "_linux.go") || strings.HasSuffix(name, "_other.go")
		if len(named) >= 3 && !slices.Contains(named, name) && name != filepath.Base(s.path) && !system {
			t.Errorf("%s: the comment maps the package's files, and lacks %s", s.path, name)
		}
	}
}

func TestFiles(t *testing.T) {
	for _, s := range sources(t) {
		name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(s.path), ".go"), "_test")
		if slices.Contains(vague, name) || slices.Contains(vague, filepath.Base(s.dir)) {
			t.Errorf("%s: the name does not say what is inside", s.path)
		}
		if s.lines > maxLines && !s.test() {
			t.Errorf("%s has %d lines; a file has one subject and at most %d", s.path, s.lines, maxLines)
		}
	}
}

// TestNoState: no package has state. Package-level variables are tables, errors, and
// compiled expressions.
func TestNoState(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "init" && f.Recv == nil {
				t.Errorf("%s has an init function: only main decides what happens at the start", s.path)
			}
			vars, ok := d.(*ast.GenDecl)
			if !ok || vars.Tok != token.VAR {
				continue
			}
			for _, spec := range vars.Specs {
				if v := spec.(*ast.ValueSpec); len(v.Values) == 0 && !embedded(vars) {
					t.Errorf("%s: %s is a package-level variable without a value: it is state", s.path, v.Names[0])
				}
			}
		}
	}
}

// embedded reports whether a declaration has a go:embed directive.
func embedded(d *ast.GenDecl) bool {
	return d.Doc != nil && slices.ContainsFunc(d.Doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed") })
}

// private are the fields that hold the text of a message, in all our types.
var private = []string{"Body", "Subject", "Text", "ShortMessage"}

// TestTextIsPrivate: no log line and no error is given the text of a message.
func TestTextIsPrivate(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !logs(call) {
				return true
			}
			for _, arg := range call.Args {
				if sel, ok := arg.(*ast.SelectorExpr); ok && slices.Contains(private, sel.Sel.Name) {
					t.Errorf("%s: %s goes into a log line or an error", s.path, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// logs reports whether the call makes a log line or an error.
func logs(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	if x, ok := f.X.(*ast.Ident); ok && (x.Name == "slog" || x.Name == "fmt" && f.Sel.Name == "Errorf" || x.Name == "errors") {
		return true
	}
	return slices.Contains([]string{"Debug", "Info", "Warn", "Error", "Log", "LogAttrs", "With"}, f.Sel.Name)
}
