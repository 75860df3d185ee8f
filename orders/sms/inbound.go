package sms

import (
	"log/slog"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"straks/orders"
	"straks/smpp/gsm"
	"straks/smpp/wire"
)

// Messages from phones are acknowledged and counted. A stop word, sent to a number
// of an organisation, puts the phone on that organisation's block list; a start
// word takes it off again. Nothing else of a message is kept.

// word is what an inbound message asks for.
type word string

const (
	wordOther word = "other"
	wordStop  word = "stop"
	wordStart word = "start"
)

// request is what a message from a phone asks for, and the word of the configuration that says so.
type request struct {
	is      word
	spelled string
}

// inbound takes one message from a phone. respond is called once: for a stop or
// start word, when the block list is on disk.
func (r *receiver) inbound(smsc string, m *wire.Message, respond func(wire.Status)) {
	asked := r.asked(smsc, m)
	owner, owned := r.setup.Load().owners[BareNumber(m.Dest)]
	if !owned {
		asked.is = wordOther
	}
	switch {
	case asked.is == wordOther:
	case national(m):
		r.one.Write("national "+smsc, slog.LevelWarn, "stop or start word without effect: the phone's number is in national form, "+
			"so its country is not known; have the SMSC send international numbers",
			slog.String("smsc", smsc), slog.String("organisation", owner), slog.String("word", string(asked.is)))
	default:
		r.block(smsc, asked, owner, m, respond)
		return
	}
	r.metrics.inbound.WithLabelValues(string(asked.is)).Inc()
	respond(wire.ESMEOK)
}

// block changes the organisation's block list for the phone that sent the message.
func (r *receiver) block(smsc string, asked request, owner string, m *wire.Message, respond func(wire.Status)) {
	sender := orders.Recipient("+" + BareNumber(m.Source))
	b := orders.Block{Organisation: owner, Channel: orders.SMS, Recipient: sender, Off: asked.is == wordStart, At: time.Now().UTC(),
		Source: orders.BlockedByPhone, Word: asked.spelled}
	err := r.service.Block(b, func(err error) {
		if err == nil {
			r.metrics.inbound.WithLabelValues(string(asked.is)).Inc()
			r.few.Write("block "+owner, slog.LevelInfo, "block list changed by a message from the phone", slog.String("organisation", owner),
				slog.String("smsc", smsc), slog.String("word", string(asked.is)), slog.Any("recipient", sender))
		}
		respond(stored(err))
	})
	if err != nil {
		respond(stored(err))
	}
}

// BareNumber returns a number without the '+' or "00" that may precede its
// country code, so that all spellings of a number are equal.
func BareNumber(s string) string { return strings.TrimPrefix(strings.TrimPrefix(s, "+"), "00") }

// national reports whether the message comes from a number without its country:
// TON 2 (SMPP 3.4 §5.2.5), unless the number has an international prefix.
func national(m *wire.Message) bool {
	return m.SourceTON == 2 && BareNumber(m.Source) == m.Source
}

// spelling returns a word as it is compared. Letters of any width are the same (NFKC, UAX #15), and
// so are those of either case. What stands round the word does not count, unless it is a letter or a
// number: "Stopp!", "«STOPP»", "ＳＴＯＰＰ", and the zeros that fill the last octet of a packed
// text, which read as "@".
func spelling(text string) string {
	return strings.TrimFunc(strings.ToUpper(norm.NFKC.String(text)), func(r rune) bool { return !unicode.In(r, unicode.L, unicode.M, unicode.N) })
}

// asked returns what the message asks for, in any alphabet.
func (c *Channel) asked(smsc string, m *wire.Message) request {
	text, header := octets(m)
	for _, e := range c.encodings(smsc, m.DataCoding) {
		text, err := gsm.Decode(e, text, header)
		if err != nil || len(text) > maxWordMessage {
			continue
		}
		if w := c.setup.Load().words[spelling(text)]; w != "" {
			return request{w, spelling(text)}
		}
	}
	return request{is: wordOther}
}

// maxWordMessage bounds the text that a stop word is looked for in, in octets of UTF-8: a whole message.
const maxWordMessage = 480

// encodings returns the encodings that data_coding (SMPP 3.4 §5.2.19) may stand
// for, as far as a stop word needs. The SMSC's default alphabet may be packed in one
// direction only; a text that is read in the wrong way is no word.
func (c *Channel) encodings(smsc string, dataCoding byte) []gsm.Encoding {
	switch dataCoding {
	case 8:
		return []gsm.Encoding{gsm.UCS2}
	case 3:
		return []gsm.Encoding{gsm.Latin1}
	}
	return []gsm.Encoding{c.setup.Load().SMSCs[smsc].Alphabet, gsm.GSM7}
}
