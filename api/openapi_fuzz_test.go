package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/orders"
)

// generated is how many requests TestRequestsOfTheDocument makes.
const generated = 20_000

// TestRequestsOfTheDocument makes requests from the document, good ones and spoilt ones, and holds each answer against
// it: its status and form are described, and none is a 5xx, except a 503. STRAKS_FUZZ_SEED repeats a run.
func TestRequestsOfTheDocument(t *testing.T) {
	seed := rand.Uint64()
	if given, err := strconv.ParseUint(os.Getenv("STRAKS_FUZZ_SEED"), 10, 64); err == nil {
		seed = given
	}
	t.Logf("STRAKS_FUZZ_SEED=%d", seed)
	count := generated
	if raceDetector {
		count /= 10
	}
	w := start(t, func(cfg *Config, oc *orders.Config) { cfg.Log, oc.Log = slogDiscard(), slogDiscard() })
	w.sms.Does(orders.Handover{Outcome: handover.Refused, Status: orders.SMSFailedRejected, Total: 1})
	w.email.Does(orders.Handover{Outcome: handover.Refused, Status: orders.EmailFailed, Total: 1})
	s := readSpec(t)
	const workers = 8
	var wg sync.WaitGroup
	var mu sync.Mutex
	var seen sync.Map // forms of answers that the document has
	statuses := make(map[int]int)
	for worker := range uint64(workers) {
		wg.Go(func() {
			g := &generator{spec: s, r: rand.New(rand.NewPCG(seed, worker))}
			for n := range count / workers {
				r, body := g.request()
				status, faults := w.holds(t, &seen, r)
				mu.Lock()
				statuses[status]++
				mu.Unlock()
				for _, fault := range faults {
					t.Errorf("request %d of worker %d: %s\n%s %s %q\n%.500q", n, worker, fault, r.Method, r.URL, r.Header, body)
				}
				if t.Failed() {
					return
				}
			}
		})
	}
	wg.Wait()
	t.Logf("statuses: %v", statuses)
	for _, status := range []int{200, 201, 400, 401, 403, 404, 405, 413, 415} {
		if statuses[status] == 0 {
			t.Errorf("no request got %d", status)
		}
	}
}

// holds makes a request, and returns its status and what the document does not say of the answer. The status is 0 where
// the client left before the answer.
func (w *world) holds(t *testing.T, seen *sync.Map, r *http.Request) (status int, faults []string) {
	ctx, leave := context.WithCancel(r.Context())
	defer leave()
	if r.Header.Get("Accept") == "text/event-stream" || strings.Contains(strings.ToLower(r.URL.RawQuery), "wait") { // which may last
		defer time.AfterFunc(20*time.Millisecond, leave).Stop()
	}
	rec := httptest.NewRecorder()
	func() {
		defer func() {
			if v := recover(); v != nil && v != http.ErrAbortHandler {
				panic(v)
			}
		}()
		w.api.ServeHTTP(rec, r.WithContext(ctx))
	}()
	resp := rec.Result()
	if ctx.Err() != nil {
		return 0, nil
	}
	if resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable {
		faults = append(faults, fmt.Sprintf("%s %s", resp.Status, rec.Body))
	}
	return resp.StatusCode, append(faults, w.undescribed(t, seen, r, resp, rec.Body.Bytes())...)
}

// undescribed returns what the document does not say of an answer. The validator is slow, so it sees each form once.
func (w *world) undescribed(t *testing.T, seen *sync.Map, r *http.Request, resp *http.Response, got []byte) []string {
	at := canonical(r).URL.Path
	switch {
	case !inDocument(at) || path.Clean(at) != at:
		if resp.StatusCode != http.StatusNotFound || resp.Header.Get("Content-Type") != "application/problem+json" {
			return []string{fmt.Sprintf("%s, where nothing is described: %s", resp.Status, got)}
		}
		return nil
	case r.Method == http.MethodHead:
		return nil // it has no body
	}
	asked := r.Clone(context.Background())
	asked.URL.Path, asked.URL.RawPath, asked.Body = at, "", http.NoBody
	if resp.StatusCode == http.StatusMethodNotAllowed {
		asked.Method, _, _ = strings.Cut(resp.Header.Get("Allow"), ",") // described under the right method
	}
	form := fmt.Sprint(asked.Method, len(at), resp.StatusCode, resp.Header.Get("Content-Type"))
	if len(got) < 4<<10 { // else the whole document, or a long page of the feed
		form += varying.ReplaceAllString(string(got), "")
	}
	if _, known := seen.Load(form); known {
		return nil
	}
	resp.Body = io.NopCloser(bytes.NewReader(got))
	faults := wrongAnswer(t, asked, resp)
	if faults == nil {
		seen.Store(form, true)
	}
	return faults
}

// inDocument reports whether the document describes a path of the API.
func inDocument(at string) bool {
	return slices.ContainsFunc(templates(), func(template *regexp.Regexp) bool { return template.MatchString(at) })
}

// templates match the paths of the routes.
var templates = sync.OnceValue(func() (all []*regexp.Regexp) {
	for _, rt := range (&api{}).routes() {
		template := strings.ReplaceAll(regexp.QuoteMeta(DefaultBasePath+rt.path), `\{id\}`, `[^/]+`)
		all = append(all, regexp.MustCompile("(?s)^"+template+"$"))
	}
	return all
})

// varying is what differs between answers that the document does not tell apart: ids, times and numbers.
var varying = regexp.MustCompile(`[0-9a-f]{8}[0-9a-f-]{24,}|[0-9T:.]{8,}Z?`)

// generator makes requests from the document.
type generator struct {
	spec *spec
	r    *rand.Rand
	ids  int
}

func (g *generator) chance(percent int) bool { return g.r.IntN(100) < percent }

func pick[T any](g *generator, of ...T) T { return of[g.r.IntN(len(of))] }

// request returns a request of one of the calls; most are good in all but one respect.
func (g *generator) request() (*http.Request, []byte) {
	path := pick(g, g.spec.names("#/paths")...)                                                   // a template
	if (path == "/future/shipment/feed" || strings.HasPrefix(path, "/openapi")) && g.chance(85) { // whose answers are long
		path = pick(g, "/future/orders/instant", "/future/orders/instant/sms", "/future/orders/instant/email")
	}
	item := "#/paths/" + strings.ReplaceAll(path, "/", "~1")
	method := pick(g, g.spec.names(item)...)
	_, operation := g.spec.follow(item + "/" + method)
	call := operation.(map[string]any)
	query, headers := url.Values{}, http.Header{"Authorization": {"Bearer " + ttdToken}}
	parameters, _ := call["parameters"].([]any)
	for i := range parameters {
		g.parameter(fmt.Sprintf("%s/%s/parameters", item, method), parameters[i], &path, query, headers)
	}
	var body []byte
	if _, content := g.spec.follow(item + "/" + method + "/requestBody/content/application~1json/schema"); content != nil {
		body = g.body(content)
		headers.Set("Content-Type", "application/json")
	}
	method = strings.ToUpper(method)
	if g.chance(10) {
		method = pick(g, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY", "get")
	}
	if g.chance(20) {
		g.spoilHeaders(headers)
	}
	if g.chance(8) {
		query.Add(pick(g, "unknown", "SEQ", "seq", "include", "idempotencyid", "wait", "pageSize", ""), g.text())
	}
	target := &url.URL{Scheme: "http", Host: "straks", Path: DefaultBasePath + g.spoilPath(path), RawQuery: query.Encode()}
	if g.chance(3) {
		target.RawQuery = pick(g, "%zz", ";", "a=%", "seq", "&&&=", strings.Repeat("a&", 500), "seq=1&seq=2")
	}
	r := httptest.NewRequest("GET", "http://straks/", bytes.NewReader(body))
	r.Method, r.URL, r.Header, r.RequestURI = method, target, headers, target.RequestURI()
	if g.chance(3) {
		r.ContentLength = -1 // in chunks
	}
	return r, body
}

// parameter fills in one parameter.
func (g *generator) parameter(at string, node any, path *string, query url.Values, headers http.Header) {
	p := g.resolve(node)
	name, _ := p["name"].(string)
	value := fmt.Sprint(g.value(p["schema"], 0))
	if example, ok := p["example"]; ok && g.chance(50) {
		value = fmt.Sprint(example)
	}
	if g.chance(15) {
		value = pick(g, g.text(), "", "-1", "9223372036854775808", "1e9", "0x10", "null", " 1", "١")
	}
	switch p["in"] {
	case "path":
		*path = strings.Replace(*path, "{"+name+"}", value, 1)
	case "query":
		if p["required"] == true && g.chance(90) || g.chance(40) {
			query.Set(name, value)
		}
	case "header":
		if g.chance(20) {
			headers.Set(name, headerValue(value))
		}
	}
}

// resolve returns the object of a node, beyond its reference.
func (g *generator) resolve(node any) map[string]any {
	object, _ := node.(map[string]any)
	if ref, ok := object["$ref"].(string); ok {
		_, target := g.spec.follow(ref)
		object, _ = target.(map[string]any)
	}
	return object
}

func (g *generator) spoilPath(path string) string {
	if g.chance(93) {
		return path
	}
	return pick(g, path+"/", strings.ToUpper(path), path+"/x", "/"+path, path+"/..", path+"%00", path+"\x00", path+"é", "/", "", "/future", "/future/shipment/"+g.text(), "/metrics")
}

func (g *generator) spoilHeaders(h http.Header) {
	switch g.r.IntN(9) {
	case 0:
		h.Del("Authorization")
	case 1:
		h.Set("Authorization", pick(g, "Bearer guess", "Bearer", "Basic eDp5", "Bearer a.b.c", "Bearer "+strings.Repeat("x", 9000), "Bearer \x01", "Bearer scopeless-token", "Bearer old-token"))
	case 2:
		h.Set("Authorization", "Bearer "+pick(g, "scopeless-token", otherToken))
	case 3:
		h.Set("Content-Type", pick(g, "", "text/plain", "application/json; charset=latin1", "application/xml", "application/problem+json", ";", "application/json;;", headerValue(g.text())))
	case 4:
		h.Set("Content-Encoding", pick(g, "gzip", "identity", "br", headerValue(g.text())))
	case 5:
		h.Set("Accept", pick(g, "text/event-stream", "*/*", "text/html", "application/xml", ""))
	case 6:
		h.Set("traceparent", pick(g, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-0-0-0", headerValue(g.text())))
	case 7:
		h.Set("If-None-Match", pick(g, "*", `"x"`, `W/"`, headerValue(g.text())))
	case 8:
		h.Set(pick(g, "Last-Event-ID", "Expect", "Range", "X-Forwarded-For", "X-HTTP-Method-Override", "Cookie"), headerValue(g.text()))
	}
}

// headerValue returns the text as net/http lets a header through.
func headerValue(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// body returns the octets of a body.
func (g *generator) body(schema any) []byte {
	value := g.value(schema, 0)
	if g.chance(45) {
		value = g.spoil(value, schema)
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	if g.chance(92) {
		return text
	}
	cut := g.r.IntN(len(text) + 1)
	return pick(g, text[:cut], append(text, text...), nil, []byte("\xff\xfe"+string(text)), []byte("null"), []byte("[]"), []byte(`"x"`),
		bytes.ReplaceAll(text, []byte(":"), []byte("=")), bytes.ReplaceAll(text, []byte("a"), []byte{0xc3}), []byte(strings.Repeat(`{"a":`, 20000)),
		[]byte(strings.Repeat("[", 100000)), bytes.Repeat([]byte(" "), DefaultMaxBody+1), slices.Concat(text[:cut], []byte(`\ud800`), text[cut:]),
		bytes.Replace(text, []byte("{"), []byte(`{"idempotencyId":"twice","idempotencyId":null,`), 1))
}

// value returns a value that the schema allows.
func (g *generator) value(node any, depth int) any {
	s := g.resolve(node)
	if s == nil || depth > 8 {
		return nil
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		if options, ok := s[key].([]any); ok {
			return g.value(pick(g, options...), depth+1)
		}
	}
	merged := map[string]any{}
	if all, ok := s["allOf"].([]any); ok {
		for _, part := range all {
			if object, ok := g.value(part, depth+1).(map[string]any); ok {
				for k, v := range object {
					merged[k] = v
				}
			}
		}
	}
	if c, ok := s["const"]; ok {
		return c
	}
	if enum, ok := s["enum"].([]any); ok {
		return pick(g, enum...)
	}
	if examples, ok := s["examples"].([]any); ok && len(examples) > 0 && (s["pattern"] != nil || g.chance(50)) {
		return pick(g, examples...)
	}
	if example, ok := s["example"]; ok {
		return example
	}
	kinds, _ := s["type"].([]any)
	kind, _ := s["type"].(string)
	if len(kinds) > 0 {
		kind = fmt.Sprint(pick(g, kinds...))
	}
	properties, _ := s["properties"].(map[string]any)
	switch {
	case kind == "object" || properties != nil:
		return g.object(s, properties, merged, depth)
	case kind == "array":
		list := []any{}
		for range g.r.IntN(3) {
			list = append(list, g.value(s["items"], depth+1))
		}
		return list
	case kind == "integer" || kind == "number":
		return g.number(s)
	case kind == "boolean":
		return g.chance(50)
	case kind == "null":
		return nil
	}
	return g.string(s)
}

func (g *generator) object(s, properties, into map[string]any, depth int) any {
	required, _ := s["required"].([]any)
	names := make([]string, 0, len(properties))
	for name := range properties {
		names = append(names, name)
	}
	slices.Sort(names) // for the seed
	for _, name := range names {
		switch {
		case name == "idempotencyId":
			g.ids++
			into[name] = fmt.Sprintf("%d-%d", g.r.Uint32()%50000, g.ids%7)
		case name == "phoneNumber":
			into[name] = fmt.Sprintf("+4799%06d", g.r.IntN(1e6))
		case name == "emailAddress":
			into[name] = "post@example.org"
		case slices.Contains(required, any(name)) || g.chance(40):
			into[name] = g.value(properties[name], depth+1)
		}
	}
	return into
}

func (g *generator) number(s map[string]any) any {
	bound := func(key string, otherwise int) int {
		if n, ok := s[key].(int); ok {
			return n
		}
		return otherwise
	}
	least := bound("minimum", 0)
	most := max(bound("maximum", least+1000), least)
	return pick(g, least, most, least+g.r.IntN(most-least+1))
}

func (g *generator) string(s map[string]any) string {
	if d, ok := s["default"].(string); ok && g.chance(50) {
		return d
	}
	switch s["format"] {
	case "uuid":
		return fmt.Sprintf("0d4f1b3a-8f5c-7c1e-9a54-%012x", g.r.Uint64()%(1<<48))
	case "date-time":
		return pick(g, "2026-02-04T11:33:09.649920Z", "2099-01-01T00:00:00+14:00")
	}
	most, ok := s["maxLength"].(int)
	if !ok {
		most = 40
	}
	return strings.Repeat("x", 1+g.r.IntN(max(1, min(most, 200))))
}

// text returns a text of any kind.
func (g *generator) text() string {
	return pick(g, "x", "", "æøå€", "\u202e\u200b\ufeff", "👩‍👩‍👧", "a\x00b", "\r\nX: y", strings.Repeat("å", 5000), "' OR 1=1 --", "{{.}}", "../../etc/passwd",
		"\xff", "Ⅷ", "ﬀ", "\u0345\u0301\u0301", "%s%n", "-0", "NaN", "true", strconv.Itoa(g.r.Int()))
}

// spoil changes a value in one place.
func (g *generator) spoil(v, schema any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 || g.chance(15) {
			v[pick(g, "unknown", "", "__proto__", "IDEMPOTENCYID", "recipientSms", "æ", g.validUTF8())] = g.junk()
			return v
		}
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		name := pick(g, names...)
		if g.chance(15) {
			delete(v, name)
			return v
		}
		v[name] = g.spoil(v[name], nil)
		return v
	case []any:
		return append(v, g.junk())
	}
	return g.junk()
}

func (g *generator) validUTF8() string { return strings.ToValidUTF8(g.text(), "?") }

// junk returns a value of any type.
func (g *generator) junk() any {
	return pick[any](g, nil, true, 0, -1, math.MaxInt64, math.MinInt64, 1e308, 0.5, "", g.validUTF8(), strings.Repeat("x", 70000), []any{}, []any{nil, 1, "x"},
		map[string]any{}, map[string]any{"a": []any{map[string]any{"b": nil}}}, json.Number("1e400"), json.Number("-0"), json.Number("123456789012345678901234567890"))
}
