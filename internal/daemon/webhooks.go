package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"straks/api"
	"straks/hooks"
	"straks/internal/audit"
)

// WebhookCommand is the body of POST /webhooks.
type WebhookCommand struct {
	By           string     `json:"by,omitempty"` // the operator's name
	Organisation string     `json:"organisation"` // may be empty where one organisation only has a webhook of the name
	Name         string     `json:"name"`
	Do           string     `json:"do"`             // WebhookResume or WebhookTest
	From         hooks.From `json:"from,omitempty"` // of WebhookResume
}

// What an operator can do with a webhook. The answer to WebhookResume is its hooks.State, that to WebhookTest a
// hooks.Trial.
const (
	WebhookResume = "resume"
	WebhookTest   = "test"
)

// wireWebhooks builds the dispatcher of webhooks over the service.
func (d *Daemon) wireWebhooks() {
	version, _, _ := Version()
	var codes hooks.Source
	if d.codes != nil {
		codes = verifications{d.codes}
	}
	d.hooks = hooks.New(hooks.Config{Verifications: codes, Webhooks: d.config().Webhooks(), Feed: d.service, Cursors: d.journal, Encode: api.EncodeEntry,
		UserAgent: "straks/" + version, Log: d.log, Registerer: d.registry})
}

func (d *Daemon) serveWebhooks(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, d.hooks.States())
}

func (d *Daemon) operateWebhook(w http.ResponseWriter, r *http.Request) {
	var c WebhookCommand
	in := json.NewDecoder(r.Body)
	in.DisallowUnknownFields()
	if err := in.Decode(&c); err != nil {
		http.Error(w, "the body must be JSON {organisation, name, do, from}", http.StatusBadRequest)
		return
	}
	answer, err := d.webhook(r, &c)
	outcome := "ok"
	if err != nil {
		outcome = "failed"
	}
	d.operated(r, audit.Event{Action: audit.ChangeWebhook, Organisation: c.Organisation, Object: c.Name + " " + c.Do, Outcome: outcome}, c.By)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, answer)
}

func (d *Daemon) webhook(r *http.Request, c *WebhookCommand) (any, error) {
	st, err := d.theWebhook(c)
	if err != nil {
		return nil, err
	}
	switch c.Do {
	case WebhookTest:
		return d.hooks.Test(r.Context(), st.Organisation, st.Name)
	case WebhookResume:
		if _, ok := d.journal.(shared); ok && !d.sends.Load() {
			return nil, errors.New("another node sends the webhooks now: give -admin of that one, whose log says so")
		}
		if err := d.hooks.Resume(st.Organisation, st.Name, c.From); err != nil {
			return nil, err
		}
		return d.theWebhook(c)
	}
	return nil, fmt.Errorf("do is %q, must be %q or %q", c.Do, WebhookResume, WebhookTest)
}

// theWebhook returns the state of the webhook that is meant.
func (d *Daemon) theWebhook(c *WebhookCommand) (hooks.State, error) {
	var names []string
	var found []hooks.State
	for _, st := range d.hooks.States() {
		names = append(names, st.Organisation+" "+st.Name)
		if st.Name == c.Name && (c.Organisation == "" || st.Organisation == c.Organisation) {
			found = append(found, st)
		}
	}
	switch {
	case len(names) == 0:
		return hooks.State{}, errors.New("the configuration has no webhook: [[organisation.webhook]]")
	case len(found) == 0:
		return hooks.State{}, fmt.Errorf("no webhook is called %q there; there are (organisation, name): %q", c.Name, names)
	case len(found) > 1:
		return hooks.State{}, fmt.Errorf("several organisations have a webhook called %q: give the organisation", c.Name)
	}
	return found[0], nil
}
