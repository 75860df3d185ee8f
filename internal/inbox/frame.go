package inbox

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// framePolicy is the Content-Security-Policy of a mail's Html: an origin of its own, no
// script, no form, nothing from anywhere, and our pages alone may have it in a frame. A link
// that a person follows opens a window of its own.
const framePolicy = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; " +
	"img-src data:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// dropped are elements that are left out of a mail's Html. The policy refuses most of them.
// It covers no link that lets the browser connect ahead of need, and no refresh.
var dropped = []string{"script", "link", "meta", "base", "iframe", "frame", "frameset", "object", "embed", "applet"}

// loading are attributes from which a browser would load something.
var loading = []string{"src", "srcset", "background", "poster", "data", "action", "formaction", "ping", "xlink:href", "manifest"}

// frameHTML returns the Html of a mail as the frame shows it, and how many pictures and the
// like were left out because they are elsewhere. The rest is as the mail has it: the policy
// protects the reader, and this only keeps the browser from complaining and connecting.
func frameHTML(page string) (framed string, remote int) {
	var out strings.Builder
	out.WriteString("<!doctype html><meta charset=utf-8><base target=_blank>\n")
	z := html.NewTokenizer(strings.NewReader(page))
	within := "" // the element that is being left out, with its text
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return out.String(), remote
		}
		raw := string(z.Raw())
		if kind != html.StartTagToken && kind != html.EndTagToken && kind != html.SelfClosingTagToken {
			if within == "" && kind != html.DoctypeToken && kind != html.CommentToken {
				out.WriteString(raw)
			}
			continue
		}
		t := z.Token()
		switch {
		case slices.Contains(dropped, t.Data):
			if hasText := t.Data == "script" || t.Data == "iframe" || t.Data == "object"; hasText && kind == html.StartTagToken {
				within = t.Data
			} else if within == t.Data {
				within = ""
			}
		case within != "":
		case kind == html.EndTagToken:
			out.WriteString(raw)
		default:
			remote += clean(&t)
			out.WriteString(t.String())
		}
	}
}

// clean takes out of a tag what runs or loads something, and returns how many things it
// would have loaded from elsewhere.
func clean(t *html.Token) (remote int) {
	t.Attr = slices.DeleteFunc(t.Attr, func(a html.Attribute) bool {
		key, value := strings.ToLower(a.Key), strings.ToLower(strings.TrimSpace(a.Val))
		switch {
		case strings.HasPrefix(key, "on"), key == "target", key == "srcdoc":
			return true
		case key == "href" && t.Data != "a" && t.Data != "area":
			return true
		case key == "style" && strings.Contains(value, "url("):
			remote++
			return true
		case slices.Contains(loading, key) && !strings.HasPrefix(value, "data:image/"):
			if key != "action" && key != "formaction" && key != "ping" {
				remote++
			}
			return true
		}
		return strings.HasPrefix(value, "javascript:")
	})
	return remote
}
