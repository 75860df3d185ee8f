package inbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"straks/api/client"
)

// stepTime bounds what a step waits for the API, which answers late where a carrier is slow.
const stepTime = 15 * time.Second

// maxForward bounds how far one call moves the clock of verifications: as long as a code may last.
const maxForward = time.Hour

// loginView is what the page shows of a login.
type loginView struct {
	login
	Status       string // of the verification; empty: none is under way
	AttemptsLeft int
	Messages     int
	Newest       *Message // to the recipient; nil: none
}

// Pending reports whether a code can be typed.
func (v *loginView) Pending() bool { return v.Status == "pending" }

// showVerify: the page on which a person asks for a code and types it.
func (s *Server) showVerify(w http.ResponseWriter, r *http.Request) {
	_, l := s.logins.of(r)
	v := &loginView{login: l}
	if l.ID != "" {
		ctx, cancel := context.WithTimeout(r.Context(), stepTime)
		defer cancel()
		got, err := s.config.Client.Verification(ctx, l.ID)
		if err != nil {
			v.Said, v.Bad = why(err), true
		}
		v.Status, v.AttemptsLeft, v.Messages = got.Status, got.AttemptsLeft, got.Messages
		if newest, _ := s.box.List(Query{To: l.To}, 1); len(newest) > 0 {
			v.Newest = newest[0]
		}
	}
	s.render(w, r, view{Title: "Verify", Page: "verify", Login: v})
}

// step returns the handler of a form of the page: it changes the login, and the browser goes back to the page.
func (s *Server) step(do func(ctx context.Context, c *client.Client, l *login, form url.Values)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			http.Error(w, "the form can't be read: "+err.Error(), http.StatusBadRequest)
			return
		}
		release, ok := slot(w, s.waits)
		if !ok {
			return
		}
		defer release()
		ctx, cancel := context.WithTimeout(r.Context(), stepTime)
		defer cancel()
		key, l := s.logins.of(r)
		l.Said, l.Bad = "", false
		do(ctx, s.config.Client, &l, r.PostForm)
		s.logins.keep(w, key, l)
		s.box.Touch()
		back(w, r, "/verify")
	}
}

// askForCode makes a verification. Here the form says whom it is for; a real service takes the number from its register.
func askForCode(ctx context.Context, c *client.Client, l *login, form url.Values) {
	const call = "POST /verifications"
	to := strings.TrimSpace(form.Get("to"))
	*l = login{To: to, Calls: l.Calls}
	seconds, err := strconv.Atoi(form.Get("seconds"))
	if err != nil && form.Get("seconds") != "" || len(to) > 500 || !utf8.ValidString(to) {
		*l = login{Said: "Give a number or an address, and for how many seconds the code is valid.", Bad: true, Calls: l.Calls}
		return
	}
	// One key for one request of the person, the same in each repeat of the call.
	request := client.VerificationRequest{IdempotencyID: "login-" + rand.Text(), TTLSeconds: seconds, Language: form.Get("language"), Origin: form.Get("origin")}
	if strings.Contains(to, "@") {
		request.Email = &client.VerificationAddress{EmailAddress: to}
	} else {
		request.SMS = &client.VerificationSMS{PhoneNumber: to}
	}
	v, created, err := c.StartVerification(ctx, request)
	if err != nil {
		l.failed(call, err)
		return
	}
	l.ID = v.VerificationID
	if created {
		l.note(call, statusLine(http.StatusCreated), v.Status)
		return
	}
	l.note(call, statusLine(http.StatusOK), v.Status)
	l.Said = "A code is under way already: it is still valid."
}

// checkCode checks what the person typed.
func checkCode(ctx context.Context, c *client.Client, l *login, form url.Values) {
	if !l.underWay() {
		return
	}
	const call = "POST /verifications/{id}/check"
	got, err := c.CheckCode(ctx, l.ID, form.Get("code"))
	if err != nil {
		l.failed(call, err)
		return
	}
	l.note(call, statusLine(http.StatusOK), got.Status)
	if got.Status == "pending" {
		l.Said, l.Bad = "That is not the code.", true
	}
}

// resendCode sends the same code again.
func resendCode(ctx context.Context, c *client.Client, l *login, _ url.Values) {
	if !l.underWay() {
		return
	}
	const call = "POST /verifications/{id}/resend"
	before, err := c.Verification(ctx, l.ID)
	var v client.Verification
	if err == nil {
		v, err = c.ResendCode(ctx, l.ID)
	}
	if err != nil {
		l.failed(call, err)
		return
	}
	l.note(call, statusLine(http.StatusOK), fmt.Sprintf("messages: %d", v.Messages))
	if l.Said = "The same code was sent again."; v.Messages == before.Messages {
		l.Said = "Nothing was sent: the last message is less than 30 seconds old."
	}
}

// cancelCode ends the verification, if it is pending, and begins a new login.
func cancelCode(ctx context.Context, c *client.Client, l *login, _ url.Values) {
	if l.ID == "" {
		return
	}
	const call = "DELETE /verifications/{id}"
	if v, err := c.CancelVerification(ctx, l.ID); err != nil {
		l.failed(call, err)
	} else {
		l.note(call, statusLine(http.StatusOK), v.Status)
	}
	*l = login{To: l.To, Calls: l.Calls}
}

// underWay reports whether the login has a verification, and says so where it has none.
func (l *login) underWay() bool {
	if l.ID == "" {
		l.Said, l.Bad = "Ask for a code first.", true
	}
	return l.ID != ""
}

// failed notes an error. What the API says of a verification that has ended is shown by its status.
func (l *login) failed(call string, err error) {
	refused := &client.Problem{}
	answer := "no answer"
	if errors.As(err, &refused) {
		answer = statusLine(refused.Status)
	}
	l.note(call, answer, strings.TrimSpace(refused.Code+" "+refused.Title))
	if refused.Status != http.StatusGone {
		l.Said, l.Bad = why(err), true
	}
}

// why returns what an error says to a person.
func why(err error) string {
	refused := (*client.Problem)(nil)
	if !errors.As(err, &refused) {
		return err.Error()
	}
	text := refused.Detail
	if text == "" {
		text = refused.Title
	}
	for _, property := range slices.Sorted(maps.Keys(refused.Errors)) {
		text += " " + property + " " + strings.Join(refused.Errors[property], "; ") + "."
	}
	return text
}

// forward: POST /verify/clock with seconds: the clock of verifications moves ahead.
func (s *Server) forward(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.Atoi(r.PostFormValue("seconds"))
	if err != nil || seconds < 1 || seconds > int(maxForward/time.Second) {
		http.Error(w, fmt.Sprintf("seconds must be a number from 1 to %d", int(maxForward/time.Second)), http.StatusBadRequest)
		return
	}
	s.config.Forward(time.Duration(seconds) * time.Second)
	if key, l := s.logins.of(r); l.ID != "" {
		l.Said, l.Bad = "", false
		s.logins.keep(w, key, l)
	}
	s.box.Touch()
	back(w, r, "/verify")
}
