package main

import (
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/config"
	"straks/internal/ratelog"
	"straks/orders"
	"straks/smpp/gsm"
	"straks/smpp/wire"
)

// inbound takes messages that phones send. They are acknowledged and counted;
// a stop word, sent to a number that is an organisation's, blocks the sender for
// that organisation, a start word lifts it. Nothing else of them is kept.
type inbound struct {
	words     map[string]word
	owners    map[string]string       // organisation by bare number
	alphabets map[string]gsm.Encoding // by SMSC: its default alphabet
	block     func(orders.Block, func(error)) error
	total     *prometheus.CounterVec
	log       *slog.Logger
	seldom    *ratelog.Log // what phones can cause
}

// word is what an inbound message asks for.
type word string

const (
	wordOther word = "other"
	wordStop  word = "stop"
	wordStart word = "start"
)

func newInbound(cfg *config.Config, block func(orders.Block, func(error)) error, log *slog.Logger, reg prometheus.Registerer) *inbound {
	in := &inbound{words: make(map[string]word), owners: cfg.Inbound(), alphabets: make(map[string]gsm.Encoding),
		block: block, log: log, seldom: ratelog.New(log, 1),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_inbound_messages_total",
			Help: "Messages from phones, by what they ask for."}, []string{"word"})}
	for _, w := range cfg.SMS.StopWords {
		in.words[w] = wordStop
	}
	for _, w := range cfg.SMS.StartWords {
		in.words[w] = wordStart
	}
	for _, s := range cfg.SMSCs {
		in.alphabets[s.Name] = s.Alphabet.Encoding()
	}
	for _, w := range []word{wordOther, wordStop, wordStart} {
		in.total.WithLabelValues(string(w))
	}
	reg.MustRegister(in.total)
	return in
}

// receive takes one message from an SMSC. respond is called once: for a stop word, when the
// block is on disk.
func (in *inbound) receive(smsc string, m *wire.Message, respond func(wire.Status)) {
	asked := in.asked(smsc, m)
	owner, owned := in.owners[config.BareNumber(m.Dest)]
	if !owned {
		asked = wordOther
	}
	switch {
	case asked == wordOther:
	case national(m):
		in.seldom.Write("national "+smsc, slog.LevelWarn, "a phone's stop or start word is without effect: "+
			"its number is in national form, and whose it is can't be told; have the SMSC give international ones",
			slog.String("smsc", smsc), slog.String("organisation", owner), slog.String("word", string(asked)))
	default:
		in.change(asked, owner, m, respond)
		return
	}
	in.total.WithLabelValues(string(asked)).Inc()
	respond(wire.ESMEOK)
}

// change changes the block list for the phone that sent the message.
func (in *inbound) change(asked word, owner string, m *wire.Message, respond func(wire.Status)) {
	sender := orders.Recipient("+" + config.BareNumber(m.Source))
	b := orders.Block{Organisation: owner, Channel: orders.SMS, Recipient: sender, Off: asked == wordStart, At: time.Now().UTC()}
	err := in.block(b, func(err error) {
		if err == nil {
			in.total.WithLabelValues(string(asked)).Inc()
			in.log.Info("block list changed by a message from the phone", "organisation", owner, "word", string(asked), "recipient", sender)
		}
		respond(storedStatus(err))
	})
	if err != nil {
		respond(storedStatus(err))
	}
}

// national tells whether the message comes from a number without its country: TON 2
// (SMPP 3.4 §5.2.5), unless the number itself denies that.
func national(m *wire.Message) bool {
	return m.SourceTON == 2 && config.BareNumber(m.Source) == m.Source
}

// asked returns what the message asks for, in whichever alphabet it does.
func (in *inbound) asked(smsc string, m *wire.Message) word {
	octets, header := messageOctets(m)
	for _, e := range in.encodings(smsc, m.DataCoding) {
		text, err := gsm.Decode(e, octets, header)
		text = strings.TrimRight(strings.TrimSpace(text), "@") // zeros that fill the last octet
		if w := in.words[strings.ToUpper(text)]; err == nil && w != "" {
			return w
		}
	}
	return wordOther
}

// encodings reads data_coding (SMPP 3.4 §5.2.19) as far as a stop word needs. In the
// SMSC's default alphabet it may be packed or not whatever the SMSC takes from us; read the wrong
// way, no text is a word.
func (in *inbound) encodings(smsc string, dataCoding byte) []gsm.Encoding {
	switch dataCoding {
	case 8:
		return []gsm.Encoding{gsm.UCS2}
	case 3:
		return []gsm.Encoding{gsm.Latin1}
	}
	return []gsm.Encoding{in.alphabets[smsc], gsm.GSM7}
}
