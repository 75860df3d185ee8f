package api

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// spec is the document as a tree, and the examples in it that a test has used.
type spec struct {
	root map[string]any
	used map[string]bool // by their place, a JSON pointer (RFC 6901)
}

func readSpec(t *testing.T) *spec {
	t.Helper()
	s := &spec{used: map[string]bool{}}
	if err := yaml.Unmarshal(document, &s.root); err != nil {
		t.Fatal(err)
	}
	return s
}

// follow returns what is at the pointer and where it really is, beyond all references; nil if nothing is there.
func (s *spec) follow(pointer string) (place string, node any) {
	node = s.root
	place = "#"
	for _, name := range strings.Split(pointer, "/")[1:] {
		object, _ := node.(map[string]any)
		place, node = place+"/"+name, object[strings.ReplaceAll(name, "~1", "/")]
		if object, ok := node.(map[string]any); ok {
			if ref, ok := object["$ref"].(string); ok {
				place, node = s.follow(ref)
			}
		}
	}
	return place, node
}

func (s *spec) names(pointer string) []string {
	_, node := s.follow(pointer)
	object, _ := node.(map[string]any)
	return slices.Sorted(maps.Keys(object))
}

// examples returns the examples of a media type, by name; the single one has the name "".
func (s *spec) examples(media string) map[string]any {
	found := map[string]any{}
	if place, value := s.follow(media + "/example"); value != nil {
		found[""], s.used[place] = value, true
	}
	for _, name := range s.names(media + "/examples") {
		place, value := s.follow(media + "/examples/" + name + "/value")
		found[name], s.used[place] = value, true
	}
	return found
}

// all calls f for every example of the document, with its place.
func (s *spec) all(f func(place string)) {
	var walk func(place string, node any)
	walk = func(place string, node any) {
		object, _ := node.(map[string]any)
		for name, child := range object {
			at := place + "/" + strings.ReplaceAll(name, "/", "~1")
			switch named, isMap := child.(map[string]any); {
			case name == "example":
				f(at)
			case name == "examples" && isMap: // of a media type, or components
				for name, e := range named {
					if e := e.(map[string]any); e["$ref"] == nil {
						f(at + "/" + name + "/value")
					}
				}
			case name == "examples": // of a schema
				f(at)
			default:
				walk(at, child)
			}
		}
		list, _ := node.([]any)
		for i, child := range list {
			walk(fmt.Sprintf("%s/%d", place, i), child)
		}
	}
	walk("#", s.root)
}

// TestDocumentExamples: each call's every status can be had, is answered as the document says, and looks
// like its example. Every example in requests, parameters and schemas is taken.
func TestDocumentExamples(t *testing.T) {
	s := readSpec(t)
	answers := 0
	for _, path := range s.names("#/paths") {
		item := "#/paths/" + strings.ReplaceAll(path, "/", "~1")
		for _, method := range s.names(item) {
			place := item + "/" + method
			c := &operation{method: strings.ToUpper(method), path: path, place: place}
			c.read(t, s)
			for _, status := range s.names(place + "/responses") {
				answers += c.answers(t, s, status)
			}
		}
	}
	if answers < 140 {
		t.Errorf("only %d answers", answers)
	}
	s.tryParameters(t)
	s.trySchemas(t)
	s.tryWebhook(t, "shipment")
	s.tryWebhook(t, "verification")
	s.all(func(place string) {
		if !s.used[place] {
			t.Errorf("no test uses the example at %s", place)
		}
	})
}

// operation is one call of the document, and a good request for it.
type operation struct {
	method, path, query string
	place               string // in the document
	body                string
}

// read takes the body from the document's example, and sends all of those.
func (c *operation) read(t *testing.T, s *spec) {
	if c.aboutVerifications() {
		c.readVerification(t, s)
		return
	}
	switch c.path {
	case "/future/shipment/{id}":
		c.path = "/future/shipment/0d4f1b3a-8f5c-7c1e-9a54-5a8f3c3ad9f1"
	case "/future/shipment":
		c.query = "?idempotencyId=k"
	}
	if c.method != http.MethodPost {
		return
	}
	w := start(t)
	for name, value := range s.examples(c.place + "/requestBody/content/application~1json") {
		body, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if a := w.do(c.method, c.path, string(body)); a.status != http.StatusCreated {
			t.Errorf("%s, example %s: %d %s", c.path, name, a.status, a.body)
		}
		// What the answers have follows from the order.
		c.body = strings.Replace(string(body), "{", `{"sendersReference":"r",`, 1)
	}
	if c.body == "" {
		t.Errorf("%s has no example of a body", c.path)
	}
}

// ask makes the good request.
func (c *operation) ask(w *world, options ...option) answer {
	return w.do(c.method, c.path+c.query, c.body, options...)
}

// answers holds the examples of one status against real answers.
func (c *operation) answers(t *testing.T, s *spec, status string) (n int) {
	response := c.place + "/responses/" + status
	media := s.names(response + "/content")
	if len(media) == 0 && status != "304" { // the only one without a body
		t.Errorf("%s %s, %s: no content", c.method, c.path, status)
	}
	if len(media) == 0 {
		media = []string{""}
	}
	for _, kind := range media {
		examples := map[string]any{"": nil}
		if kind != "" {
			examples = s.examples(response + "/content/" + strings.ReplaceAll(kind, "/", "~1"))
		}
		if len(examples) == 0 {
			t.Errorf("%s %s, %s: no example of %s", c.method, c.path, status, kind)
		}
		for name, example := range examples {
			n++
			t.Run(strings.Join([]string{c.method, c.path, status, kind, name}, " "), func(t *testing.T) {
				real := c.produce(t, status, kind, name)
				if fmt.Sprint(real.status) != status || kind != "" && real.header.Get("Content-Type") != kind {
					t.Fatalf("%d %v %s", real.status, real.header, real.body)
				}
				c.compare(t, kind, example, real)
			})
		}
	}
	return n
}

// compare holds an example against the answer that really came.
func (c *operation) compare(t *testing.T, kind string, example any, real answer) {
	t.Helper()
	switch kind {
	case "":
		if real.body != "" {
			t.Errorf("a body: %s", real.body)
		}
		return
	case "text/event-stream":
		example, real = eventData(t, strings.TrimSpace(example.(string))), answer{real.status, http.Header{"Content-Type": {"application/json"}}, eventOf(t, real.body)}
	case "application/yaml":
		var tree any
		if err := yaml.Unmarshal([]byte(example.(string)), &tree); err != nil {
			t.Fatal(err)
		}
		example, real.body = tree, asJSON(t, real.body)
	}
	var got any
	if err := json.Unmarshal([]byte(real.body), &got); err != nil {
		t.Fatal(err)
	}
	if real.status == http.StatusOK && strings.HasPrefix(c.path, "/openapi") { // the example is the beginning of it
		got, example = beginning(t, got), beginning(t, example)
	}
	sameShape(t, "$", example, got)
	c.valid(t, real, real.body)
	if kind != "application/yaml" {
		text, err := json.Marshal(example)
		if err != nil {
			t.Fatal(err)
		}
		c.valid(t, real, string(text))
	}
	if real.status >= 400 {
		e, g := example.(map[string]any), got.(map[string]any)
		for _, name := range []string{"type", "title", "code"} {
			if e[name] != g[name] {
				t.Errorf("%s is %v, the example has %v", name, g[name], e[name])
			}
		}
		if e["status"] != g["status"] && fmt.Sprint(e["status"]) != fmt.Sprint(g["status"]) {
			t.Errorf("status is %v, the example has %v", g["status"], e["status"])
		}
	}
}

// valid checks the body, and the headers of the answer, with the document's schema.
func (c *operation) valid(t *testing.T, a answer, body string) {
	t.Helper()
	r, err := http.NewRequest(c.method, "http://x"+DefaultBasePath+c.path+c.query, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp := &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(body))}
	for _, fault := range wrongAnswer(t, r, resp) {
		t.Errorf("%s\n%s", fault, body)
	}
}

// beginning returns the parts of the document that its example shows.
func beginning(t *testing.T, tree any) any {
	t.Helper()
	whole := tree.(map[string]any)
	info := whole["info"].(map[string]any)
	for name, want := range map[string]any{"title": info["title"], "version": info["version"], "openapi": whole["openapi"]} {
		if text, ok := want.(string); !ok || text == "" {
			t.Errorf("%s is %v", name, want)
		}
	}
	return map[string]any{"openapi": whole["openapi"], "paths": map[string]any{},
		"info": map[string]any{"title": info["title"], "version": info["version"]}}
}

// sameShape reports where two values differ in the names or the JSON types of their properties. All elements of
// both lists must look like the example's first.
func sameShape(t *testing.T, path string, example, got any) {
	t.Helper()
	switch e := example.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		if have, want := slices.Sorted(maps.Keys(g)), slices.Sorted(maps.Keys(e)); !slices.Equal(have, want) {
			t.Errorf("%s has the properties %q, the example %q", path, have, want)
			return
		}
		for name := range e {
			sameShape(t, path+"."+name, e[name], g[name])
		}
	case []any:
		g, _ := got.([]any)
		if path == "$.events" { // which properties an event has follows from its type
			sameShape(t, path, byType(e), byType(g))
			return
		}
		if len(e) == 0 || len(g) == 0 {
			t.Errorf("%s: %d elements, in the example %d", path, len(g), len(e))
			return
		}
		for _, other := range slices.Concat(e, g) {
			sameShape(t, path+"[]", e[0], other)
		}
	default:
		if jsonType(example) != jsonType(got) {
			t.Errorf("%s is %v, in the example %v", path, got, example)
		}
	}
}

// byType returns events by their type.
func byType(events []any) any {
	named := map[string]any{}
	for _, e := range events {
		e := e.(map[string]any)
		named[e["type"].(string)] = e
	}
	return named
}

func jsonType(v any) string {
	switch v.(type) {
	case int, float64:
		return "number"
	}
	return fmt.Sprintf("%T", v)
}

// eventOf returns the data of one Server-Sent Event as the page of the feed that has its entry alone.
func eventOf(t *testing.T, event string) string {
	t.Helper()
	id, data, ok := strings.Cut(event, "\n")
	number, hasID := strings.CutPrefix(id, "id: ")
	data, hasData := strings.CutPrefix(data, "data: ")
	if !ok || !hasID || !hasData || !strings.Contains(data, `"sequenceNumber":`+number+",") {
		t.Errorf("no event: %s", event)
	}
	return "[" + data + "]"
}

func eventData(t *testing.T, event string) (page any) {
	t.Helper()
	if err := json.Unmarshal([]byte(eventOf(t, event)), &page); err != nil {
		t.Error(err)
	}
	return page
}

func asJSON(t *testing.T, text string) string {
	t.Helper()
	var tree any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	converted, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return string(converted)
}

// tryParameters makes each call with the examples of its parameters.
func (s *spec) tryParameters(t *testing.T) {
	w := start(t)
	w.refuses()
	w.sendSMS("k")
	for _, path := range s.names("#/paths") {
		list, place := []any(nil), "#/paths/"+strings.ReplaceAll(path, "/", "~1")+"/get/parameters"
		if _, node := s.follow(place); node != nil {
			list = node.([]any)
		}
		query, target := url.Values{}, path
		for i, p := range list {
			p := p.(map[string]any)
			value, ok := p["example"]
			if !ok {
				continue
			}
			s.used[fmt.Sprintf("%s/%d/example", place, i)] = true
			switch p["in"] {
			case "path":
				target = strings.Replace(path, "{"+p["name"].(string)+"}", fmt.Sprint(value), 1)
			case "query":
				query.Set(p["name"].(string), fmt.Sprint(value))
			default:
				t.Errorf("%s: an example of a parameter in %v", path, p["in"])
			}
		}
		if len(list) == 0 {
			continue
		}
		if a := w.do("GET", target+"?"+query.Encode(), ""); a.status != http.StatusOK && a.status != http.StatusNotFound {
			t.Errorf("%s?%s: %d %s", target, query.Encode(), a.status, a.body)
		}
	}
}

// trySchemas sends orders to the example recipients.
func (s *spec) trySchemas(t *testing.T) {
	w := start(t)
	for place, send := range map[string]func(to string) answer{
		"#/components/schemas/RecipientSms/properties/phoneNumber/examples": func(to string) answer {
			return w.do("POST", "/future/orders/instant/sms", strings.NewReplacer(`"k"`, `"`+to+`"`, "+4799999999", to).Replace(smsBody))
		},
		"#/components/schemas/EmailOrder/properties/recipientEmail/properties/emailAddress/examples": func(to string) answer {
			return w.do("POST", "/future/orders/instant/email", fmt.Sprintf(
				`{"idempotencyId":%q,"recipientEmail":{"emailAddress":%q,"emailSettings":{"subject":"s","body":"b"}}}`, to, to))
		},
	} {
		_, examples := s.follow(place)
		list, _ := examples.([]any)
		for _, to := range list {
			s.used[place] = true
			if a := send(to.(string)); a.status != http.StatusCreated {
				t.Errorf("%s: %v: %d %s", place, to, a.status, a.body)
			}
		}
	}
}
