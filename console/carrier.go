package console

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// carrierData is the page Carrier.
type carrierData struct {
	Carrier
	Started       time.Time
	Actions       []Action
	Organisations []Organisation
	Question      RouteQuestion
	Answer        *RouteAnswer
	Refusal       string // why the question has no answer
}

func (c *Console) showCarrier(w http.ResponseWriter, r *http.Request, s *session) {
	v := view{}
	if done := Action(r.URL.Query().Get("done")); done.valid() {
		l := languageOf(r)
		v.Notice = l.say("done", l.say("do."+string(done)))
	}
	c.carrierPage(w, r, s, http.StatusOK, v, carrierData{})
}

func (c *Console) carrierPage(w http.ResponseWriter, r *http.Request, s *session, status int, v view, d carrierData) {
	v, err := c.carrierView(r.PathValue("name"), s, v, d)
	if err != nil {
		c.fail(w, r, &s.user, http.StatusNotFound, "notFound", languageOf(r).say("noPage"))
		return
	}
	c.render(w, r, status, v)
}

func (c *Console) carrierView(name string, s *session, v view, d carrierData) (view, error) {
	carrier, err := c.source.Carrier(name)
	if err != nil {
		return v, err
	}
	d.Carrier, d.Started, d.Organisations = carrier, c.source.Now().Started, c.source.Organisations()
	d.Actions = []Action{Pause, Drain, Resume, TryNow}
	v.Page, v.Title, v.User, v.Data = "carrier", carrier.Name, &s.user, d
	v.Back, v.Live = "/carrier/"+url.PathEscape(carrier.Name), "/live?page=carrier&name="+url.QueryEscape(carrier.Name)
	return v, nil
}

// operate has a carrier do what the operator asks for, and leads back to its page.
func (c *Console) operate(w http.ResponseWriter, r *http.Request, s *session) {
	l, name, what := languageOf(r), r.PathValue("name"), Action(r.PathValue("what"))
	why := cut(strings.TrimSpace(r.PostForm.Get("reason")))
	if !what.valid() {
		c.fail(w, r, &s.user, http.StatusNotFound, "notFound", l.say("noPage"))
		return
	}
	if why == "" && what != TryNow {
		c.carrierPage(w, r, s, http.StatusBadRequest, view{Problem: l.say("needReason")}, carrierData{})
		return
	}
	err := c.source.Do(name, what)
	outcome := "ok"
	if err != nil {
		outcome = "failed"
	}
	c.audit(r, &s.user, event{string(what), outcome, why}, slog.String("carrier", cut(name)))
	switch {
	case errors.Is(err, ErrNone):
		c.fail(w, r, &s.user, http.StatusNotFound, "notFound", l.say("noPage"))
	case err != nil:
		c.carrierPage(w, r, s, http.StatusConflict, view{Problem: err.Error()}, carrierData{})
	default:
		http.Redirect(w, r, "/carrier/"+url.PathEscape(name)+"?done="+string(what), http.StatusSeeOther)
	}
}

// askRoute shows which way an SMS would go. The number is not stored, and not logged.
func (c *Console) askRoute(w http.ResponseWriter, r *http.Request, s *session) {
	q := RouteQuestion{Number: strings.TrimSpace(r.PostForm.Get("number")), Organisation: r.PostForm.Get("organisation"), Sender: strings.TrimSpace(r.PostForm.Get("sender"))}
	d, status, outcome := carrierData{Question: q}, http.StatusOK, "ok"
	answer, err := c.source.Route(q)
	if err != nil {
		d.Refusal, status, outcome = err.Error(), http.StatusBadRequest, "refused"
	} else {
		d.Answer = &answer
	}
	c.audit(r, &s.user, event{what: "route", outcome: outcome}, slog.String("organisation", cut(q.Organisation)))
	c.carrierPage(w, r, s, status, view{}, d)
}
