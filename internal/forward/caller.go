package forward

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
)

// header has the Caller, as JSON in base64.
const header = "Straks-Forwarded"

// maxCaller bounds the header, in octets.
const maxCaller = 8 << 10

// Caller is who called the node that forwards a request. That node has checked what the caller may do. Nodes of two
// versions forward to each other: members are added only, and one that is missing or unknown must do no harm.
type Caller struct {
	Node         int      `json:"node"`                  // that forwards
	Organisation string   `json:"organisation"`          // never empty
	Token        string   `json:"token"`                 // name of the token, for logs
	Certificate  string   `json:"certificate,omitempty"` // name of the client's certificate, likewise
	Fingerprint  string   `json:"fingerprint,omitempty"` // of that
	Scopes       []string `json:"scopes"`
	Address      string   `json:"address"` // of the client, host:port
}

var errCaller = errors.New("the header " + header + " does not say who called")

func (c *Caller) write(h http.Header) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	h.Set(header, base64.RawURLEncoding.EncodeToString(b))
	return nil
}

func readCaller(h http.Header) (c Caller, err error) {
	values := h.Values(header)
	if len(values) != 1 || len(values[0]) > maxCaller {
		return c, errCaller
	}
	b, err := base64.RawURLEncoding.DecodeString(values[0])
	if err != nil || json.Unmarshal(b, &c) != nil || c.Organisation == "" || c.Node < 1 {
		return Caller{}, errCaller
	}
	return c, nil
}

type contextKey struct{}

func withCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// CallerOf returns the caller of a request that another node has forwarded, and false for any other request.
func CallerOf(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(contextKey{}).(Caller)
	return c, ok
}
