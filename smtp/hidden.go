package smtp

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// hiddenElements have content that a browser does not show, or that is of no use as text.
var hiddenElements = map[atom.Atom]bool{
	atom.Script: true, atom.Style: true, atom.Title: true, atom.Template: true, atom.Svg: true, atom.Noembed: true,
	atom.Select: true, atom.Iframe: true, atom.Object: true, atom.Audio: true, atom.Video: true, atom.Noscript: true,
}

// voidElements have no content, and no end tag.
var voidElements = map[atom.Atom]bool{
	atom.Area: true, atom.Br: true, atom.Col: true, atom.Embed: true, atom.Hr: true, atom.Img: true, atom.Input: true,
	atom.Link: true, atom.Meta: true, atom.Source: true, atom.Wbr: true,
}

// hides reports whether an element is not shown, like the preheader that many mails begin with.
func hides(token html.Token) bool {
	if hiddenElements[token.DataAtom] {
		return token.Type == html.StartTagToken
	}
	for _, a := range token.Attr {
		if a.Key == "hidden" || a.Key == "style" && hiddenStyle(a.Val) {
			return true
		}
	}
	return false
}

func hiddenStyle(style string) bool {
	for declaration := range strings.SplitSeq(strings.ToLower(style), ";") {
		property, value, _ := strings.Cut(declaration, ":")
		value, _, _ = strings.Cut(value, "!")
		switch strings.TrimSpace(property) + ":" + strings.TrimSpace(value) {
		case "display:none", "visibility:hidden", "mso-hide:all":
			return true
		}
	}
	return false
}

// hidden is the open element whose content is not shown. The end tag of some elements may be left out
// (HTML §13.1.2.4), and that of others is forgotten: what follows must not be hidden too.
type hidden struct {
	element atom.Atom         // 0 for none
	within  map[atom.Atom]int // elements that are open within it
	last    atom.Atom         // the element that ended last with its own end tag
}

// impliedEnds are, for elements whose end tag may be left out, the start tags that end them too.
var impliedEnds = map[atom.Atom][]atom.Atom{
	atom.Li: {atom.Li}, atom.Dt: {atom.Dt, atom.Dd}, atom.Dd: {atom.Dt, atom.Dd},
	atom.Td: {atom.Td, atom.Th, atom.Tr}, atom.Th: {atom.Td, atom.Th, atom.Tr}, atom.Tr: {atom.Tr},
	atom.P: nil, // any block
}

// containers have elements whose end tag may be left out; the end of a container ends them.
var containers = []atom.Atom{atom.Ul, atom.Ol, atom.Dl, atom.Table, atom.Div}

// parents are elements whose end tag ends all within them.
var parents = map[atom.Atom]bool{
	atom.Ul: true, atom.Ol: true, atom.Dl: true, atom.Table: true, atom.Tr: true, atom.Td: true, atom.Th: true, atom.Li: true,
	atom.Div: true, atom.Body: true,
}

func (h *hidden) is() bool { return h.element != 0 }

func (h *hidden) begin(token html.Token) {
	if token.Type == html.StartTagToken && !voidElements[token.DataAtom] {
		*h = hidden{element: token.DataAtom, within: make(map[atom.Atom]int)}
	}
}

// open takes the start tag of an element.
func (h *hidden) open(element atom.Atom) {
	if !h.is() {
		return
	}
	starts, implied := impliedEnds[h.element]
	block := h.element == atom.P && blockBreaks[element] > 0
	if implied && !h.contains() && (block || slices.Contains(starts, element)) {
		*h = hidden{}
		return
	}
	if parents[element] || element == h.element {
		h.within[element]++
	}
}

// contains reports whether a container is open within the hidden element.
func (h *hidden) contains() bool {
	return slices.ContainsFunc(containers, func(c atom.Atom) bool { return h.within[c] > 0 })
}

// close takes the end tag of an element.
func (h *hidden) close(element atom.Atom) {
	switch {
	case h.within[element] > 0:
		h.within[element]--
		if slices.Contains(containers, element) && !h.contains() {
			clear(h.within)
		}
	case element == h.element:
		*h = hidden{last: element}
	case parents[element]: // that of an element around this one
		*h = hidden{}
	}
}
