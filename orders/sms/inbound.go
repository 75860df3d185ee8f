package sms

import (
	"log/slog"
	"strings"
	"time"

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

// inbound takes one message from a phone. respond is called once: for a stop or
// start word, when the block list is on disk.
func (r *receiver) inbound(smsc string, m *wire.Message, respond func(wire.Status)) {
	asked := r.asked(smsc, m)
	owner, owned := r.owners[BareNumber(m.Dest)]
	if !owned {
		asked = wordOther
	}
	switch {
	case asked == wordOther:
	case national(m):
		r.one.Write("national "+smsc, slog.LevelWarn, "stop or start word without effect: the phone's number is in national form, "+
			"so its country is not known; have the SMSC send international numbers",
			slog.String("smsc", smsc), slog.String("organisation", owner), slog.String("word", string(asked)))
	default:
		r.block(asked, owner, m, respond)
		return
	}
	r.metrics.inbound.WithLabelValues(string(asked)).Inc()
	respond(wire.ESMEOK)
}

// block changes the organisation's block list for the phone that sent the message.
func (r *receiver) block(asked word, owner string, m *wire.Message, respond func(wire.Status)) {
	sender := orders.Recipient("+" + BareNumber(m.Source))
	b := orders.Block{Organisation: owner, Channel: orders.SMS, Recipient: sender, Off: asked == wordStart, At: time.Now().UTC()}
	err := r.service.Block(b, func(err error) {
		if err == nil {
			r.metrics.inbound.WithLabelValues(string(asked)).Inc()
			r.log.Info("block list changed by a message from the phone", "organisation", owner, "word", string(asked), "recipient", sender)
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

// asked returns what the message asks for, in any alphabet.
func (c *Channel) asked(smsc string, m *wire.Message) word {
	text, header := octets(m)
	for _, e := range c.encodings(smsc, m.DataCoding) {
		text, err := gsm.Decode(e, text, header)
		text = strings.TrimRight(strings.TrimSpace(text), "@") // zeros that fill the last octet
		if w := c.words[strings.ToUpper(text)]; err == nil && w != "" {
			return w
		}
	}
	return wordOther
}

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
	return []gsm.Encoding{c.cfg.SMSCs[smsc].Alphabet, gsm.GSM7}
}
