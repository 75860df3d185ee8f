package relaytest

import (
	"bufio"
	"io"
	"net"
	"strings"
)

// Scripts for Profile.Script: peers that no server library will play.

// Mute says nothing, not even a greeting.
func Mute(c net.Conn) { io.Copy(io.Discard, c) }

// Garbage answers everything with octets that are no reply.
func Garbage(c net.Conn) {
	if _, err := c.Write([]byte("\x00\xff\x16\x03 what is this\r\n\r\n%%%\r\n")); err == nil {
		io.Copy(io.Discard, c)
	}
}

// EndlessBanner greets with a reply that never ends.
func EndlessBanner(c net.Conn) { endless(c, "220-welcome to the relay that does not stop\r\n") }

// EndlessLine greets with a line that never ends.
func EndlessLine(c net.Conn) { endless(c, "220 welcome") }

func endless(c net.Conn, line string) {
	block := []byte(strings.Repeat(line, 100))
	for {
		if _, err := c.Write(block); err != nil {
			return
		}
	}
}

// Reply is one turn of a Dialogue: what the relay says to a command that begins
// with Verb. A body that ends in a dot is the command ".".
type Reply struct {
	Verb  string
	Nth   int             // on the connection, the first being 1; 0: each time
	Text  string          // with its line ends, as it goes out
	Close bool            // then close the connection
	After <-chan struct{} // hold it back until this is closed; nil: say it at once
}

// Dialogue greets, answers EHLO without extensions, and everything else from the
// replies given; commands that none fits get 250. It is for relays that are wrong in one word.
func Dialogue(replies ...Reply) func(net.Conn) {
	return func(c net.Conn) {
		in := bufio.NewScanner(c)
		say := func(text string) { io.WriteString(c, text) }
		say("220 relay.test ready\r\n")
		seen := make([]int, len(replies))
		for body := false; in.Scan(); {
			command := in.Text()
			if body && command != "." {
				continue
			}
			reply := answerTo(command, replies, seen)
			if reply.After != nil {
				<-reply.After
			}
			say(reply.Text)
			if reply.Close {
				return
			}
			body = strings.HasPrefix(reply.Text, "354")
		}
	}
}

// answerTo finds the reply; seen is how often the command of each has come.
func answerTo(command string, replies []Reply, seen []int) Reply {
	said := -1
	for i, r := range replies {
		if !strings.HasPrefix(strings.ToUpper(command), r.Verb) {
			continue
		}
		if seen[i]++; said < 0 && (r.Nth == 0 || r.Nth == seen[i]) {
			said = i
		}
	}
	if said >= 0 {
		return replies[said]
	}
	switch {
	case strings.HasPrefix(command, "DATA"):
		return Reply{Text: "354 go on\r\n"}
	case strings.HasPrefix(command, "QUIT"):
		return Reply{Text: "221 bye\r\n", Close: true}
	}
	return Reply{Text: "250 ok\r\n"}
}
