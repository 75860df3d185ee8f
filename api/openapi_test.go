package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"straks/orders"
)

func model(t *testing.T) *v3.Document {
	t.Helper()
	doc, err := libopenapi.NewDocument(document)
	if err != nil {
		t.Fatal(err)
	}
	m, err := doc.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	return &m.Model
}

func TestDocumentIsValid(t *testing.T) {
	v, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	if ok, errs := v.ValidateDocument(); !ok {
		for _, e := range errs {
			t.Errorf("%s %s %v", e.Message, e.Reason, e.SchemaValidationErrors)
		}
	}
}

// Every route is in the document, and nothing else is.
func TestDocumentHasAllRoutes(t *testing.T) {
	var have, want []string
	for path, item := range model(t).Paths.PathItems.FromOldest() {
		for method, operation := range item.GetOperations().FromOldest() {
			have = append(have, strings.ToUpper(method)+" "+path)
			if operation.OperationId == "" || operation.Summary == "" || len(operation.Tags) == 0 {
				t.Errorf("%s %s lacks a word", method, path)
			}
		}
	}
	for _, rt := range (&api{}).routes() {
		want = append(want, rt.method+" "+rt.path)
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("the document has\n%q; the mux\n%q", have, want)
	}
}

// The document's statuses are the domain's, each explained.
func TestDocumentHasAllStatuses(t *testing.T) {
	schema := model(t).Components.Schemas.GetOrZero("RecipientStatus").Schema()
	have, want := map[string]bool{}, map[string]bool{}
	for _, node := range schema.Enum {
		have[node.Value] = true
	}
	for _, status := range orders.Statuses() {
		want[status.String()] = true
		if !strings.Contains(schema.Description, "* `"+status.String()+"`:") {
			t.Errorf("%v is not explained", status)
		}
	}
	if !maps.Equal(have, want) {
		t.Errorf("the document has %v; want %v", have, want)
	}
}

// TestDocumentTypes: beside each const and enum there is a type, which some generators need.
func TestDocumentTypes(t *testing.T) {
	n := 0
	var walk func(place string, node any)
	walk = func(place string, node any) {
		object, _ := node.(map[string]any)
		for name, child := range object {
			if name == "const" || name == "enum" {
				n++
				if object["type"] != "string" {
					t.Errorf("%s has %s without type: string", place, name)
				}
			}
			walk(place+"/"+name, child)
		}
		list, _ := node.([]any)
		for _, child := range list {
			walk(place, child)
		}
	}
	walk("#", readSpec(t).root)
	if n < 5 {
		t.Errorf("only %d", n)
	}
}

// TestDocumentHasAllAnswers: each status that the package's code names is described.
func TestDocumentHasAllAnswers(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(file, "_test.go") {
			for _, name := range regexp.MustCompile(`http\.Status[A-Z]\w+`).FindAllString(string(text), -1) {
				named[strings.TrimPrefix(name, "http.Status")] = true
			}
		}
	}
	described := map[string]bool{"Text": true} // http.StatusText is no status
	for _, item := range model(t).Paths.PathItems.FromOldest() {
		for _, operation := range item.GetOperations().FromOldest() {
			for code := range operation.Responses.Codes.FromOldest() {
				status, err := strconv.Atoi(code)
				if err != nil {
					t.Fatal(err)
				}
				described[strings.ReplaceAll(http.StatusText(status), " ", "")] = true
			}
		}
	}
	if !maps.Equal(named, described) {
		t.Errorf("the code has\n%q; the document\n%q", slices.Sorted(maps.Keys(named)), slices.Sorted(maps.Keys(described)))
	}
}

// TestDocumentIsServed: the document that is served is the one that is tested, in both forms; another parser
// than the product's makes the same of them.
func TestDocumentIsServed(t *testing.T) {
	w := start(t, func(c *Config, _ *orders.Config) { c.BasePath = "/x" })
	asYAML := strings.Replace(string(document), "url: "+DefaultBasePath, "url: /x", 1)
	doc, err := libopenapi.NewDocument([]byte(asYAML))
	if err != nil {
		t.Fatal(err)
	}
	var parsed any
	if err := doc.GetSpecInfo().RootNode.Decode(&parsed); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(parsed)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, contentType, want string }{
		{"/openapi.yaml", "application/yaml", asYAML},
		{"/openapi.json", "application/json", string(asJSON)},
	} {
		for _, path := range []string{c.path, "/x" + c.path} {
			a := w.doAt(path, "GET", "", header("Authorization", ""))
			same := a.body == c.want
			if c.contentType == "application/json" {
				same = reflect.DeepEqual(tree(t, a.body), tree(t, c.want))
			}
			if a.status != http.StatusOK || !same || a.header.Get("Content-Type") != c.contentType {
				t.Errorf("%s: %d, %d octets of %q", path, a.status, len(a.body), a.header.Get("Content-Type"))
			}
			head := w.doAt(path, "HEAD", "", header("Authorization", ""))
			if head.status != http.StatusOK || head.body != "" || head.header.Get("Content-Length") != strconv.Itoa(len(a.body)) || head.header.Get("ETag") != a.header.Get("ETag") {
				t.Errorf("HEAD %s: %d %v", path, head.status, head.header)
			}
		}
	}
}

func tree(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestDocumentIsNotSentAgain: a client that has the document is told so, whatever its form of If-None-Match.
func TestDocumentIsNotSentAgain(t *testing.T) {
	w := start(t)
	etag := w.do("GET", "/openapi.yaml", "").header.Get("ETag")
	if other := w.do("GET", "/openapi.json", "").header.Get("ETag"); etag == "" || other == etag {
		t.Errorf("both forms have the ETag %s", etag)
	}
	for given, want := range map[string]int{etag: 304, "W/" + etag: 304, `"a", ` + etag: 304, "*": 304, `"a"`: 200, strings.Trim(etag, `"`): 200} {
		if a := w.do("GET", "/openapi.yaml", "", header("If-None-Match", given)); a.status != want || a.header.Get("ETag") != etag || (a.body == "") != (want == 304) {
			t.Errorf("%s: %d %v", given, a.status, a.header)
		}
	}
}
