package console

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"time"
)

//go:embed templates
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// pageNames are the templates, each with the layout.
var pageNames = []string{"login", "now", "find", "message", "carrier", "blocked", "organisations", "error", "go"}

// view is what a template gets.
type view struct {
	Lang    lang
	Page    string // the template
	Title   string // the key of its words; or a name
	User    *User
	At      time.Time
	Live    string // the URL of its stream; empty: none
	Notice  string // what was done
	Problem string // what was wrong
	Back    string // the page that the switch of languages leads to
	OIDC    string // the provider's name; empty: none
	Users   bool   // there are passwords
	Data    any
}

// May reports whether the user has the role.
func (v *view) May(role Role) bool { return v.User != nil && v.User.May(role) }

// templates are the parsed pages of one language.
type templates map[string]*template.Template

func parseTemplates(l lang) (templates, error) {
	functions := template.FuncMap{
		"t": l.say, "clock": clock, "exact": exact, "machine": machine, "span": func(d time.Duration) string { return l.decimal(span(d)) }, "size": func(n int64) string { return l.decimal(size(n)) },
		"number": func(v float64) string { return l.decimal(number(v)) },
		"plot":   l.plotOf, "latency": l.latencyOf, "sentence": l.sentence, "meaning": l.meaning, "days": daysTo, "isBlocked": blocked,
		"count":  func(n int) string { return number(float64(n)) },
		"counts": func(n uint64) string { return number(float64(n)) },
		"well":   CarrierState.well,
	}
	all := make(templates)
	for _, name := range pageNames {
		t, err := template.New(name).Funcs(functions).ParseFS(templateFiles, "templates/layout.html", "templates/"+name+".html")
		if err != nil {
			return nil, err
		}
		all[name] = t
	}
	return all, nil
}

// render answers with a page. The whole page is made before its first octet is sent.
func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, v view) {
	body, err := c.page(&v, "layout", r)
	if err != nil {
		c.log.Error("page not made", "page", v.Page, "err", err)
		http.Error(w, "the page can't be made; the log has the reason", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(body) // an error means that the client has gone
}

// page makes a page, or one block of it.
func (c *Console) page(v *view, block string, r *http.Request) ([]byte, error) {
	v.Lang, v.At = languageOf(r), time.Now()
	if v.Back == "" {
		v.Back = r.URL.Path
	}
	var b bytes.Buffer
	err := c.templates[v.Lang][v.Page].ExecuteTemplate(&b, block, v)
	return b.Bytes(), err
}

// fail answers with a page that says what is wrong, in words of the table.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, u *User, status int, title, problem string) {
	c.render(w, r, status, view{Page: "error", Title: title, User: u, Problem: problem, Back: "/"})
}
