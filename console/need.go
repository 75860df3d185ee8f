package console

import (
	"context"
	"errors"
	"time"
)

// Overview is what the page Now shows. It is asked for every few seconds by each open page, so it must be cheap.
type Overview interface {
	Now() Now
}

// Messages finds messages.
type Messages interface {
	// Find returns the messages that the text is about: a number, an address, or one of their ids. The newest
	// come first. kind is what the text was taken for.
	Find(ctx context.Context, text string, since time.Duration) (f Found, err error)
	// Message returns one message, or ErrNone.
	Message(ctx context.Context, id string) (Message, error)
}

// Carriers are the SMSCs and relays.
type Carriers interface {
	// Carrier returns one, or ErrNone.
	Carrier(name string) (Carrier, error)
	// Do has the carrier do what an operator asks for. ErrNone: there is no such carrier.
	Do(name string, what Action) error
	// Route returns which way an SMS would go. An error is what is wrong with the question, in words for the operator.
	Route(q RouteQuestion) (RouteAnswer, error)
}

// Blocks are the block lists.
type Blocks interface {
	Blocks(ctx context.Context, q BlockQuery) (BlockPage, error)
	// Lift takes a recipient off, and returns when that is on disk, with the recipient masked for a log.
	Lift(ctx context.Context, organisation, recipient, reason, by string) (masked string, err error)
}

// Organisations are the clients.
type Organisations interface {
	Organisations() []Organisation
}

// Source is all that the console shows and does.
type Source interface {
	Overview
	Messages
	Carriers
	Blocks
	Organisations
}

var (
	// ErrNone: there is nothing of that name or id.
	ErrNone = errors.New("there is none")
	// ErrRequest is wrapped by errors that are about what was asked for.
	ErrRequest = errors.New("the request is not valid")
)

// Action is what an operator can have a carrier do.
type Action string

const (
	Pause  Action = "pause"  // give it no message
	Drain  Action = "drain"  // pause it, and close its connections when they are idle
	Resume Action = "resume" // end both
	TryNow Action = "try"    // connect at once
)

func (a Action) valid() bool { return a == Pause || a == Drain || a == Resume || a == TryNow }
