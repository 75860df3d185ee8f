package inbox

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// pagePolicy lets a page load and call this host only, and run no inline script (Content
// Security Policy Level 3).
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// shown bounds the messages of a page.
const shown = 100

// view is what a page shows. Fields that a page does not use are empty.
type view struct {
	Title    string
	Page     string // which of the pages: "inbox", "try" or "verify"
	Config   Config
	Number   string // an example
	Self     string // URL of the inbox, as its reader reached it
	Query    string
	Messages []*Message
	Total    int
	Message  *Message
	Remote   int // pictures that the frame leaves out
	Ill      []illness
	Carriers []illness
	Orders   []order
	Endings  []ending
	Login    *loginView
}

// illness is a carrier with its condition.
type illness struct {
	Carrier, Name, State, Says string
	Conditions                 []condition
}

// ending is a recipient with which something else happens.
type ending struct{ To, What string }

// exampleNumber is one whose messages are delivered.
const exampleNumber = "+4799999999"

func parsePages() (map[string]*template.Template, error) {
	functions := template.FuncMap{
		"clock":   func(t time.Time) string { return t.Format("15:04:05") },
		"moment":  func(t time.Time) string { return t.Format("2006-01-02 15:04:05.000 MST") },
		"iso":     func(t time.Time) string { return t.Format(time.RFC3339Nano) },
		"took":    func(d time.Duration) string { return d.Round(max(time.Millisecond, d.Round(time.Second)/100)).String() },
		"preview": preview,
		"size":    func(n int) string { return fmt.Sprintf("%.1f KiB", float64(n)/1024) },
		"tel":     func(s string) string { return strings.TrimPrefix(s, "+") },
	}
	pages := map[string]*template.Template{}
	for _, name := range []string{"inbox", "try", "verify"} {
		t, err := template.New("layout.html").Funcs(functions).ParseFS(pageFiles, "page/layout.html", "page/"+name+".html")
		if err != nil {
			return nil, err
		}
		pages[name] = t
	}
	return pages, nil
}

// preview returns the start of a text on one line.
func preview(text string) string {
	line := strings.Join(strings.Fields(text[:min(len(text), 400)]), " ")
	runes := []rune(strings.ToValidUTF8(line, ""))
	if len(runes) > 90 {
		return string(runes[:90]) + "…"
	}
	return string(runes)
}

func (s *Server) render(w http.ResponseWriter, r *http.Request, v view) {
	v.Config, v.Number, v.Self = s.config, exampleNumber, "http://"+r.Host
	for _, c := range []illness{{Carrier: carrierSMSC, Name: "The SMSC"}, {Carrier: carrierRelay, Name: "The mail relay"}} {
		c.State, c.Conditions = s.carriers.state(c.Carrier), conditions()
		for _, known := range c.Conditions {
			if known.Name == c.State {
				c.Says = fmt.Sprintf(known.What, c.Name)
			}
		}
		if v.Carriers = append(v.Carriers, c); c.State != "normal" {
			v.Ill = append(v.Ill, c)
		}
	}
	var page bytes.Buffer
	if err := s.pages[v.Page].Execute(&page, v); err != nil {
		http.Error(w, "the page can't be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page.Bytes()) // the reader went away
}

func (s *Server) list(r *http.Request, v view) view {
	v.Page, v.Query = "inbox", r.URL.Query().Get("q")
	v.Messages, v.Total = s.box.List(Query{Words: v.Query}, shown)
	return v
}

func (s *Server) showInbox(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, s.list(r, view{Title: "Inbox"}))
}

func (s *Server) showMessage(w http.ResponseWriter, r *http.Request) {
	m := s.message(w, r)
	if m == nil {
		return
	}
	v := s.list(r, view{Title: "To " + m.To, Message: m})
	if m.Email != nil {
		_, v.Remote = frameHTML(m.Email.HTML)
	}
	s.render(w, r, v)
}

// message returns the message that the path names; nil if it answered 404.
func (s *Server) message(w http.ResponseWriter, r *http.Request) *Message {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if m := s.box.Get(id); err == nil && m != nil {
		return m
	}
	http.Error(w, "There is no such message, or no longer.", http.StatusNotFound)
	return nil
}

// showFrame: the Html of a mail, for the frame.
func (s *Server) showFrame(w http.ResponseWriter, r *http.Request) {
	m := s.message(w, r)
	if m == nil {
		return
	}
	if m.Email == nil || m.Email.HTML == "" {
		http.Error(w, "This message has no Html.", http.StatusNotFound)
		return
	}
	page, _ := frameHTML(m.Email.HTML)
	w.Header().Set("Content-Security-Policy", framePolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(page))
}

// download: a mail as it came.
func (s *Server) download(w http.ResponseWriter, r *http.Request) {
	m := s.message(w, r)
	if m == nil {
		return
	}
	if m.Email == nil {
		http.Error(w, "This message is no mail.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "message/rfc822")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="straks-%d.eml"`, m.ID))
	_, _ = w.Write(m.Email.raw)
}

func (s *Server) showTry(w http.ResponseWriter, r *http.Request) {
	v := view{Title: "Try failures", Page: "try", Orders: s.orders.newest()}
	for _, e := range smsctest.Endings() {
		v.Endings = append(v.Endings, ending{"+479999" + e.Suffix, e.What})
	}
	relay := relaytest.Sandbox()
	for _, r := range relay.Recipients() {
		v.Endings = append(v.Endings, ending{r.Local + "@example.org", r.What})
	}
	s.render(w, r, v)
}

// reply: POST /messages/{id}/reply with text: the phone answers.
func (s *Server) reply(w http.ResponseWriter, r *http.Request) {
	m := s.message(w, r)
	if m == nil {
		return
	}
	text := r.PostFormValue("text")
	if m.SMS == nil || text == "" || len(text) > 1000 {
		http.Error(w, "only an SMS has a phone that answers, with a text of 1 to 1000 octets", http.StatusBadRequest)
		return
	}
	to := m.SMS.Reply
	if to == "" {
		to = s.config.Number
	}
	if err := s.config.SMSC.SendMO(strings.TrimPrefix(m.To, "+"), to, text); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	s.box.answered(m.ID, text)
	back(w, r, "/messages/"+strconv.FormatInt(m.ID, 10))
}

// answered notes what a phone replied.
func (b *Inbox) answered(id int64, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.change(id, func(m *Message) {
		if m.SMS.Answers = append(m.SMS.Answers, text); len(m.SMS.Answers) > maxReceipts {
			m.SMS.Answers = m.SMS.Answers[1:]
		}
	})
}

func (s *Server) deleteForm(w http.ResponseWriter, r *http.Request) {
	s.box.Delete(Query{})
	back(w, r, "/")
}

// back answers a form: the browser goes on to a page.
func back(w http.ResponseWriter, r *http.Request, to string) {
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// static: style, script and icon.
func (s *Server) static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	kind := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}[path.Ext(name)]
	body, err := pageFiles.ReadFile("page/" + name)
	if err != nil || kind == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(body)
}

func statusLine(code int) string { return fmt.Sprintf("%d %s", code, http.StatusText(code)) }
