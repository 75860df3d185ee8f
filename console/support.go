package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// sinces are the times that a search may look back.
var sinces = []struct {
	Value string
	Back  time.Duration
}{{"hours24", 24 * time.Hour}, {"days3", 72 * time.Hour}, {"days7", 7 * 24 * time.Hour}, {"days90", 90 * 24 * time.Hour}}

// findData is the page Find. What was searched for is shown again, since it is in no URL.
type findData struct {
	Sinces   any
	Since    string
	Text     string
	Reason   string
	Searched bool
	Found
}

func (c *Console) showFind(w http.ResponseWriter, r *http.Request, s *session) {
	c.render(w, r, http.StatusOK, view{Page: "find", Title: "find", User: &s.user, Data: findData{Sinces: sinces, Since: sinces[0].Value}})
}

// maxSearch bounds what is searched for, in octets.
const maxSearch = 1024

const (
	maxSearches   = 2 // at a time: each reads all messages of its time
	longestSearch = time.Minute
)

var errSearches = errors.New("other searches run, or this one takes too long")

// search finds messages, when others have been found and within longestSearch.
func (c *Console) search(ctx context.Context, text string, since time.Duration) (Found, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, longestSearch, errSearches)
	defer cancel()
	select {
	case c.searches <- struct{}{}:
		defer func() { <-c.searches }()
	case <-ctx.Done():
		return Found{}, context.Cause(ctx)
	}
	return c.source.Find(ctx, text, since)
}

func (c *Console) find(w http.ResponseWriter, r *http.Request, s *session) {
	l := languageOf(r)
	d := findData{Sinces: sinces, Since: r.PostForm.Get("since"), Text: strings.TrimSpace(r.PostForm.Get("text")), Reason: cut(strings.TrimSpace(r.PostForm.Get("reason")))}
	v := view{Page: "find", Title: "find", User: &s.user, Back: "/find"}
	back := sinces[0].Back
	for _, one := range sinces {
		if one.Value == d.Since {
			back = one.Back
		}
	}
	status := http.StatusOK
	if d.Text == "" || len(d.Text) > maxSearch {
		v.Problem, status = l.say("findMissing"), http.StatusBadRequest
	} else if found, err := c.search(r.Context(), d.Text, back); errors.Is(err, errSearches) {
		v.Problem, status = l.say("findBusy"), http.StatusServiceUnavailable
	} else if err != nil {
		v.Problem, status = l.say("cantRead"), http.StatusServiceUnavailable
		c.audit(r, &s.user, event{"find", "failed", d.Reason}, slog.Any("err", err))
	} else {
		d.Found, d.Searched = found, true
		c.audit(r, &s.user, event{"find", "ok", d.Reason}, slog.String("by_what", found.Kind), slog.Int("found", len(found.Messages)))
	}
	v.Data = d
	c.render(w, r, status, v)
}

// showMessage is the way of one message.
func (c *Console) showMessage(w http.ResponseWriter, r *http.Request, s *session) {
	l, id := languageOf(r), r.PathValue("id")
	m, err := c.source.Message(r.Context(), id)
	switch {
	case errors.Is(err, ErrNone):
		c.audit(r, &s.user, event{what: "message", outcome: "not found"})
		c.fail(w, r, &s.user, http.StatusNotFound, "notFound", l.say("foundNone"))
	case err != nil:
		c.audit(r, &s.user, event{what: "message", outcome: "failed"}, slog.Any("err", err))
		c.fail(w, r, &s.user, http.StatusServiceUnavailable, "error", l.say("cantRead"))
	default:
		c.audit(r, &s.user, event{what: "message", outcome: "ok"}, slog.String("shipment", m.ID))
		c.render(w, r, http.StatusOK, view{Page: "message", Title: "message", User: &s.user, Data: &m})
	}
}

// blockedData is the page Blocked.
type blockedData struct {
	BlockQuery
	BlockPage
	Organisations []Organisation
	Searched      bool
}

// showBlocked lists block lists: a page of all, or what the form asks for.
func (c *Console) showBlocked(w http.ResponseWriter, r *http.Request, s *session) {
	q := BlockQuery{Organisation: r.PostForm.Get("organisation"), Recipient: strings.TrimSpace(r.PostForm.Get("recipient")), After: r.PostForm.Get("after")}
	c.blocks(w, r, s, http.StatusOK, q, view{})
}

func (c *Console) blocks(w http.ResponseWriter, r *http.Request, s *session, status int, q BlockQuery, v view) {
	l := languageOf(r)
	page, err := c.source.Blocks(r.Context(), q)
	outcome := "ok"
	switch {
	case errors.Is(err, ErrRequest):
		v.Problem, outcome, status = err.Error(), "refused", http.StatusBadRequest
	case err != nil:
		v.Problem, outcome, status = l.say("cantRead"), "failed", http.StatusServiceUnavailable
	}
	by := "all"
	if q.Recipient != "" {
		by = "recipient"
	}
	c.audit(r, &s.user, event{what: "blocked", outcome: outcome}, slog.String("by_what", by), slog.Int("found", len(page.Blocks)))
	v.Page, v.Title, v.User, v.Back = "blocked", "blocked", &s.user, "/blocked"
	v.Data = blockedData{q, page, c.source.Organisations(), q.Recipient != "" || q.Organisation != ""}
	c.render(w, r, status, v)
}

// lift takes a recipient off a block list.
func (c *Console) lift(w http.ResponseWriter, r *http.Request, s *session) {
	l := languageOf(r)
	organisation, recipient, reason := r.PostForm.Get("organisation"), r.PostForm.Get("recipient"), cut(strings.TrimSpace(r.PostForm.Get("reason")))
	q := BlockQuery{Organisation: organisation, Recipient: recipient}
	if reason == "" {
		c.blocks(w, r, s, http.StatusBadRequest, q, view{Problem: l.say("needReason")})
		return
	}
	masked, err := c.source.Lift(r.Context(), organisation, recipient, reason, s.user.Name)
	v, outcome, status := view{Notice: l.say("liftDone")}, "ok", http.StatusOK
	switch {
	case errors.Is(err, ErrRequest):
		v, outcome, status = view{Problem: err.Error()}, "refused", http.StatusBadRequest
	case err != nil:
		v, outcome, status = view{Problem: l.say("cantRead")}, "failed", http.StatusServiceUnavailable
	}
	c.audit(r, &s.user, event{"lift", outcome, reason}, slog.String("organisation", cut(organisation)), slog.String("recipient", masked))
	c.blocks(w, r, s, status, q, v)
}
