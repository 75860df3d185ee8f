package relaytest

import (
	"bufio"
	"io"
	"net"
	"strings"
)

// Scripts for Profile.Script: behaviour that no server library produces.

// Mute sends nothing, not even a greeting.
func Mute(c net.Conn) { io.Copy(io.Discard, c) }

// Garbage sends octets that are no reply.
func Garbage(c net.Conn) {
	if _, err := c.Write([]byte("\x00\xff\x16\x03 what is this\r\n\r\n%%%\r\n")); err == nil {
		io.Copy(io.Discard, c)
	}
}

// EndlessBanner sends a greeting of endless lines.
func EndlessBanner(c net.Conn) { endless(c, "220-welcome to the relay that does not stop\r\n") }

// EndlessLine sends a greeting of one endless line.
func EndlessLine(c net.Conn) { endless(c, "220 welcome") }

func endless(c net.Conn, line string) {
	block := []byte(strings.Repeat(line, 100))
	for {
		if _, err := c.Write(block); err != nil {
			return
		}
	}
}

// Reply is the reply of a Dialogue to a command that begins with Verb, in upper case. The end of a
// mail is the command ".".
type Reply struct {
	Verb  string
	Nth   int             // only to the Nth such command on the connection, from 1; 0: to each
	Text  string          // as it is sent, with line ends
	Close bool            // then close the connection
	After <-chan struct{} // wait until this is closed; nil: reply at once
}

// Dialogue sends a greeting, and the given replies. Other commands get 250, without extensions to
// EHLO. It is for relays that are wrong in a few replies.
func Dialogue(replies ...Reply) func(net.Conn) {
	return func(c net.Conn) {
		in := bufio.NewScanner(c)
		io.WriteString(c, "220 relay.test ready\r\n")
		seen := make([]int, len(replies))
		for body := false; in.Scan(); {
			command := in.Text()
			if body && command != "." {
				continue
			}
			reply := replyTo(command, replies, seen)
			if reply.After != nil {
				<-reply.After
			}
			io.WriteString(c, reply.Text)
			if reply.Close {
				return
			}
			body = strings.HasPrefix(reply.Text, "354")
		}
	}
}

// replyTo returns the reply to a command; seen counts the commands of each reply.
func replyTo(command string, replies []Reply, seen []int) Reply {
	found := -1
	for i, r := range replies {
		if !strings.HasPrefix(strings.ToUpper(command), r.Verb) {
			continue
		}
		if seen[i]++; found < 0 && (r.Nth == 0 || r.Nth == seen[i]) {
			found = i
		}
	}
	if found >= 0 {
		return replies[found]
	}
	switch {
	case strings.HasPrefix(command, "DATA"):
		return Reply{Text: "354 go on\r\n"}
	case strings.HasPrefix(command, "QUIT"):
		return Reply{Text: "221 bye\r\n", Close: true}
	}
	return Reply{Text: "250 ok\r\n"}
}
