package gsm

import "strings"

// Transliterate replaces characters that look like GSM characters (curly quotes,
// dashes, an ellipsis, special blanks, full-width letters, Greek capitals that
// have a Latin twin) and drops those without width, if the whole text then
// fits GSM7. Otherwise it returns the text normalised and unchanged, since it must go as
// UCS-2 anyway. A text beyond MaxOctets can't be sent and comes back as it is.
//
// Letters are never replaced by letters that read differently: "ç" stays "ç".
func Transliterate(text string) string {
	if len(text) > MaxOctets {
		return text
	}
	text = Normalize(text)
	if GSM7.has(text) {
		return text
	}
	if plain := lookAlikes.Replace(text); GSM7.has(plain) {
		return plain
	}
	return text
}

// groups has the characters that look like a GSM text, which replaces them.
var groups = []struct{ plain, looks string }{
	{"'", "‘’‚‛′ʼʹˈ`´"},
	{`"`, "“”„‟″«»ʺ"},
	{"<", "‹〈"},
	{">", "›〉"},
	{"-", "‐‑‒–—―−⁃﹣"},
	{"...", "…"},
	{"..", "‥"},
	{"*", "•∙●∗"},
	{".", "․"},
	{"/", "⁄∕"},
	{"|", "¦ǀ"},
	{"~", "˜∼"},
	{"^", "ˆ"},
	{":", "∶"},
	{"fi", "ﬁ"},
	{"fl", "ﬂ"},
	{"ff", "ﬀ"},
	{" ", "\t\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u202F\u205F\u3000"},
	{"\n", "\v\u0085\u2028\u2029"},
	{"", "\u00AD\u034F\u200B\u200C\u200D\u200E\u200F\u202A\u202B\u202C\u202D\u202E\u2060\u2066\u2067\u2068\u2069\uFE0E\uFE0F\uFEFF"},
}

// greek are the capitals that are missing in the default alphabet, since Latin letters look the same.
const greek, latin = "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX"

var lookAlikes = replacer()

func replacer() *strings.Replacer {
	var pairs []string
	for _, g := range groups {
		for _, look := range g.looks {
			pairs = append(pairs, string(look), g.plain)
		}
	}
	for i, letter := range []rune(greek) {
		pairs = append(pairs, string(letter), latin[i:i+1])
	}
	for r := '！'; r <= '～'; r++ { // full width, U+FF01 to U+FF5E
		pairs = append(pairs, string(r), string(r-'！'+'!'))
	}
	return strings.NewReplacer(pairs...)
}
