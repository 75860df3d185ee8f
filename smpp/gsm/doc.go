// Package gsm turns the text of a short message into the octets of a
// submit_sm and back: the encoding that it needs, the number of parts, the places where
// it may be cut.
//
//	encoding.go        the encodings; text to octets and back
//	alphabet.go        GSM 03.38: characters, septets, packing
//	split.go           where a text is cut into parts
//	header.go          the user data headers of parts
//	transliterate.go   look-alikes of GSM characters
//
// In the order of use:
//
//	Transliterate   look-alikes become GSM characters (optional)
//	Choose          the encoding that has every character
//	Split           parts that fit a short message each
//	UDH8, UDH16     the header of a part
//	Append          header, then the part's octets
//
// # Encoding
//
// A text is sent in the GSM 03.38 default alphabet (today 3GPP TS 23.038
// §6.2.1) if every character is in it or in its extension table, else in UCS-2.
// No character is ever replaced: one that an encoding lacks is an error,
// never a "?".
//
// Every function first brings the text to Unicode's composed form (NFC). So an "å" that a
// keyboard wrote as "a" and a combining ring becomes the one GSM character, and the
// Ångström and Ohm signs become theirs. The reader sees no difference. A run of more
// than 30 combining marks gets a combining grapheme joiner, as Unicode's stream-safe
// text format demands (UAX #15 §13).
//
// # Parts
//
// A short message has 140 octets (3GPP TS 23.040 §9.2.3.24), whatever the
// SMPP link allows. One that needs more goes out in parts, each of which loses 6
// octets to a user data header with an 8-bit reference, or 7 with a 16-bit one. With SAR
// TLVs the SMSC writes that header, so their parts are as short.
//
//	            one part   UDH8   UDH16
//	GSM (septets)    160    153     152
//	UCS-2 (units)     70     67      66
//	Latin-1          140    134     133
//
// A cut never separates an escape from its septet, a surrogate from its other
// half, nor characters that a reader sees as one: combining
// marks, variation selectors, emoji joined by ZWJ, skin tones, flags, CR LF. Each
// part can be read by itself, and the joined parts are the text again.
//
// Packed septets have a count of octets only in SMPP. Where seven bits of the last octet stay free,
// a receiver reads a character more, so a cut avoids that: a part may be a few septets shorter than
// the table says. Where the end of the whole message can't avoid it, a carriage return goes there,
// which no reader sees.
package gsm
