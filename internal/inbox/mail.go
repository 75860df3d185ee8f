package inbox

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // bodies in other character sets than UTF-8
	"golang.org/x/net/html"

	"straks/smtp/relaytest"
)

// Bounds of what is read out of one mail.
const (
	maxParts   = 100
	maxHeaders = 200
	maxLinks   = 50
)

// Mailed is for relaytest's OnMessage.
func (b *Inbox) Mailed(mail relaytest.Message) {
	m := newMail(mail)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(m)
}

// newMail takes a mail apart. What can't be read is missing, and Fault says why: the mail
// itself is kept as it came.
func newMail(mail relaytest.Message) Message {
	e := &Email{Size: len(mail.Data), Headers: []Header{}, Links: []string{}, raw: mail.Data}
	m := Message{Channel: ChannelEmail, At: mail.At, From: mail.From, To: mail.To, State: StateAccepted, Email: e}
	entity, err := message.Read(bytes.NewReader(mail.Data))
	if entity == nil {
		e.Fault = fmt.Sprint(err)
		return m
	}
	for fields := entity.Header.Fields(); fields.Next() && len(e.Headers) < maxHeaders; {
		value, err := fields.Text()
		if err != nil {
			value = fields.Value()
		}
		e.Headers = append(e.Headers, Header{Name: fields.Key(), Value: strings.ToValidUTF8(value, "\uFFFD")})
	}
	if e.Subject, err = entity.Header.Text("Subject"); err != nil {
		e.Subject = entity.Header.Get("Subject")
	}
	e.Subject = strings.ToValidUTF8(e.Subject, "\uFFFD")
	if err := m.readParts(entity); err != nil {
		e.Fault = err.Error()
	}
	e.Links = links(m.Text, e.HTML)
	return m
}

// readParts takes the first text and the first Html of a mail.
func (m *Message) readParts(entity *message.Entity) error {
	parts := 0
	return entity.Walk(func(_ []int, part *message.Entity, err error) error {
		if err != nil {
			return err
		}
		if parts++; parts > maxParts {
			return fmt.Errorf("it has more than %d parts", maxParts)
		}
		kind, _, err := part.Header.ContentType()
		disposition, _, _ := part.Header.ContentDisposition()
		if err != nil || disposition == "attachment" || strings.HasPrefix(kind, "multipart/") {
			return nil
		}
		into := map[string]*string{"text/plain": &m.Text, "text/html": &m.Email.HTML}[kind]
		if into == nil || *into != "" {
			return nil
		}
		text, err := io.ReadAll(part.Body)
		*into = strings.ToValidUTF8(strings.ReplaceAll(string(text), "\r\n", "\n"), "\uFFFD")
		return err
	})
}

var linkForm = regexp.MustCompile(`https?://[^\s<>"'()]+`)

// links returns the links that a person can follow.
func links(text, page string) []string {
	found := []string{}
	add := func(link string) {
		u, err := url.Parse(link)
		if err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && len(found) < maxLinks && !slices.Contains(found, link) {
			found = append(found, link)
		}
	}
	for z := html.NewTokenizer(strings.NewReader(page)); page != "" && z.Next() != html.ErrorToken; {
		if t := z.Token(); t.Type == html.StartTagToken && t.Data == "a" {
			for _, a := range t.Attr {
				if a.Key == "href" {
					add(strings.TrimSpace(a.Val))
				}
			}
		}
	}
	if page == "" {
		for _, link := range linkForm.FindAllString(text, 1000) {
			add(strings.TrimRight(link, ".,;:!?"))
		}
	}
	return found
}
