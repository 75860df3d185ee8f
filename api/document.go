package api

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var document []byte

// describe returns the endpoints of the OpenAPI document, in its two forms. Its JSON is made of the
// YAML, so that there is one document to maintain.
func describe(base string) (asYAML, asJSON static, err error) {
	// The one line of the document that depends on the configuration.
	text := bytes.Replace(document, []byte("- url: "+DefaultBasePath+"\n"), []byte("- url: "+cmp.Or(base, "/")+"\n"), 1)
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return static{}, static{}, fmt.Errorf("openapi.yaml: %w", err)
	}
	converted, err := json.Marshal(tree)
	if err != nil {
		return static{}, static{}, fmt.Errorf("openapi.yaml: %w", err)
	}
	return newStatic("application/yaml", text), newStatic("application/json", converted), nil // RFC 9512, RFC 8259
}

// static is an answer that stays the same while the daemon runs.
type static struct {
	contentType string
	body        []byte
	etag        string // RFC 9110 §8.8.3
}

func newStatic(contentType string, body []byte) static {
	sum := sha256.Sum256(body)
	return static{contentType, body, `"` + hex.EncodeToString(sum[:16]) + `"`}
}

// serve answers with the body, or with 304 if the client has it.
func (s static) serve(x *exchange) error {
	h := x.Header()
	h.Set("ETag", s.etag)
	h.Set("Cache-Control", "max-age=300")
	if s.matches(x.r.Header) {
		x.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", s.contentType)
	h.Set("Content-Length", strconv.Itoa(len(s.body)))
	x.WriteHeader(http.StatusOK)
	x.Write(s.body) // an error means that the client has gone
	return nil
}

// matches reports whether If-None-Match names the body (RFC 9110 §13.1.2; the comparison is weak).
func (s static) matches(h http.Header) bool {
	for _, given := range h["If-None-Match"] {
		for tag := range strings.SplitSeq(given, ",") {
			if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == s.etag || tag == "*" {
				return true
			}
		}
	}
	return false
}
