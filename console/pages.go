package console

import (
	"net/http"
	"strings"
	"time"
)

// nowData is the state of the whole with what its sentence names.
type nowData struct {
	Now
	Trouble []string // carriers that are not well
}

func (c *Console) now() nowData {
	n := nowData{Now: c.source.Now()}
	for _, carrier := range n.Carriers {
		if !carrier.State.well() {
			n.Trouble = append(n.Trouble, carrier.Name)
		}
	}
	return n
}

// Names lists the carriers in trouble.
func (n nowData) Names() string { return strings.Join(n.Trouble, ", ") }

func (c *Console) nowView(s *session) view {
	return view{Page: "now", Title: "now", User: &s.user, Live: "/live?page=now", Data: c.now()}
}

// showNow is the first page.
func (c *Console) showNow(w http.ResponseWriter, r *http.Request, s *session) {
	c.render(w, r, http.StatusOK, c.nowView(s))
}

func (c *Console) showOrganisations(w http.ResponseWriter, r *http.Request, s *session) {
	c.render(w, r, http.StatusOK, view{Page: "organisations", Title: "organisations", User: &s.user, Data: struct {
		Started       time.Time
		Organisations []Organisation
	}{c.source.Now().Started, c.source.Organisations()}})
}
