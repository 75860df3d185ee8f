package smtp

import (
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// textOf returns the text alternative of an HTML mail, with the code and the link for readers
// without HTML. It reads tokens and builds no tree, so that deep nesting costs nothing.
func textOf(source string) string {
	t := textWriter{}
	z := html.NewTokenizer(strings.NewReader(source))
	for {
		switch z.Next() {
		case html.ErrorToken: // the end, or the rest of a broken tag
			return t.String()
		case html.TextToken:
			t.text(string(z.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			t.open(z.Token())
		case html.EndTagToken:
			t.close(z.Token())
		}
	}
}

// textWriter collapses white space as a browser does, and writes at most one empty line between
// blocks.
type textWriter struct {
	out     strings.Builder
	hidden  hidden // the open element whose content is not shown
	pre     int    // depth of <pre>
	breaks  int    // line ends due before the next word
	space   bool   // a blank is due before the next word
	link    string // target of the open <a>
	linkPos int    // offset in out of the text of <a>
	lists   lists
}

// blockBreaks is the number of line ends between an element and its neighbours.
var blockBreaks = map[atom.Atom]int{
	atom.P: 2, atom.H1: 2, atom.H2: 2, atom.H3: 2, atom.H4: 2, atom.H5: 2, atom.H6: 2,
	atom.Ul: 2, atom.Ol: 2, atom.Table: 2, atom.Blockquote: 2, atom.Pre: 2, atom.Hr: 2,
	atom.Div: 1, atom.Li: 1, atom.Tr: 1, atom.Section: 1, atom.Article: 1, atom.Header: 1,
	atom.Footer: 1, atom.Dt: 1, atom.Dd: 1, atom.Address: 1, atom.Center: 1, atom.Body: 1,
}

func (t *textWriter) open(token html.Token) {
	if t.hidden.open(token.DataAtom); t.hidden.is() {
		return
	}
	if hides(token) {
		t.hidden.begin(token)
		return
	}
	t.breakLine(blockBreaks[token.DataAtom])
	switch token.DataAtom {
	case atom.Br:
		t.breaks = min(t.breaks+1, 2)
	case atom.Td, atom.Th:
		t.space = true
	case atom.Pre:
		t.pre++
	case atom.Li:
		t.word(t.lists.item(token))
		t.space = true
	case atom.Ol, atom.Ul:
		t.lists.open(token)
	case atom.Img:
		t.text(attribute(token, "alt"))
	case atom.A:
		t.link = strings.TrimSpace(attribute(token, "href"))
		t.linkPos = t.out.Len()
	}
}

func (t *textWriter) close(token html.Token) {
	if t.hidden.is() {
		if t.hidden.close(token.DataAtom); t.hidden.is() || token.DataAtom == t.hidden.last {
			return
		}
	}
	switch token.DataAtom {
	case atom.Ol, atom.Ul:
		t.lists.close()
	case atom.Pre:
		t.pre = max(t.pre-1, 0)
	case atom.A:
		t.endLink()
	}
	t.breakLine(blockBreaks[token.DataAtom])
}

// endLink writes the target of a link after its text, unless the text contains it.
func (t *textWriter) endLink() {
	target := t.link
	t.link = ""
	if shown := linkText(target); shown != "" && !strings.Contains(t.out.String()[t.linkPos:], shown) {
		t.space = true
		t.word("<" + target + ">")
	}
}

// linkText returns what the text of a link has where it needs no target: the URL, address or number; empty for
// links that are of no use in text, like javascript.
func linkText(target string) string {
	scheme, rest, _ := strings.Cut(target, ":")
	switch strings.ToLower(scheme) {
	case "http", "https":
		return target
	case "mailto", "tel":
		rest, _, _ = strings.Cut(rest, "?")
		return rest
	}
	return ""
}

func (t *textWriter) text(s string) {
	if t.hidden.is() {
		return
	}
	if t.pre > 0 {
		t.preformatted(s)
		return
	}
	trimmed := strings.TrimLeftFunc(s, unicode.IsSpace)
	t.space = t.space || trimmed != s
	for i, field := range strings.Fields(s) {
		t.space = t.space || i > 0
		t.word(field)
	}
	t.space = t.space || strings.TrimRightFunc(trimmed, unicode.IsSpace) != trimmed
}

func (t *textWriter) preformatted(s string) {
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			t.breaks = min(t.breaks+1, 2)
		}
		if line = strings.TrimRightFunc(line, unicode.IsSpace); line != "" {
			t.word(line)
		}
	}
}

// breakLine makes at least that number of line ends due before the next word.
func (t *textWriter) breakLine(breaks int) { t.breaks = max(t.breaks, breaks) }

// word writes s after the line ends or the blank that are due.
func (t *textWriter) word(s string) {
	switch {
	case t.out.Len() == 0:
	case t.breaks > 0:
		t.out.WriteString("\n\n"[:t.breaks])
	case t.space:
		t.out.WriteByte(' ')
	}
	t.breaks, t.space = 0, false
	t.out.WriteString(s)
}

func (t *textWriter) String() string { return t.out.String() + "\n" }

func attribute(token html.Token, key string) string {
	for _, a := range token.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
