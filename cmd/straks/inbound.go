package main

import (
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/cmd/straks/config"
	"straks/orders"
	"straks/smpp/gsm"
	"straks/smpp/wire"
)

// inbound takes messages that phones send. They are acknowledged and counted;
// a stop word, sent to a number that is an organisation's, blocks the sender for
// that organisation, a start word lifts it. Nothing else of them is kept.
type inbound struct {
	words  map[string]word
	owners map[string]string // organisation by bare number
	block  func(orders.Block, func(error)) error
	total  *prometheus.CounterVec
	log    *slog.Logger
}

// word is what an inbound message asks for.
type word string

const (
	wordOther word = "other"
	wordStop  word = "stop"
	wordStart word = "start"
)

func newInbound(cfg *config.Config, block func(orders.Block, func(error)) error, log *slog.Logger, reg prometheus.Registerer) *inbound {
	in := &inbound{words: make(map[string]word), owners: cfg.Inbound(), block: block, log: log,
		total: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_inbound_messages_total",
			Help: "Messages from phones, by what they ask for."}, []string{"word"})}
	for _, w := range cfg.SMS.StopWords {
		in.words[strings.ToUpper(w)] = wordStop
	}
	for _, w := range cfg.SMS.StartWords {
		in.words[strings.ToUpper(w)] = wordStart
	}
	for _, w := range []word{wordOther, wordStop, wordStart} {
		in.total.WithLabelValues(string(w))
	}
	reg.MustRegister(in.total)
	return in
}

// receive takes one message. respond is called once: for a stop word, when the
// block is on disk.
func (in *inbound) receive(m *wire.Message, respond func(wire.Status)) {
	asked := in.words[strings.ToUpper(strings.TrimSpace(messageText(m)))]
	owner, owned := in.owners[config.BareNumber(m.Dest)]
	if asked == "" || !owned {
		in.total.WithLabelValues(string(wordOther)).Inc()
		respond(wire.ESMEOK)
		return
	}
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

// messageText returns the text of a message; empty where it can't be read.
func messageText(m *wire.Message) string {
	octets, header := messageOctets(m)
	text, err := gsm.Decode(inboundEncoding(m.DataCoding), octets, header)
	if err != nil {
		return ""
	}
	return text
}

// inboundEncoding reads data_coding (SMPP 3.4 §5.2.19) as far as a stop word needs.
func inboundEncoding(dataCoding byte) gsm.Encoding {
	switch dataCoding {
	case 8:
		return gsm.UCS2
	case 3:
		return gsm.Latin1
	}
	return gsm.GSM7
}
