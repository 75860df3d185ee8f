package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
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

// Every example of an order in the document is taken.
func TestDocumentExamplesWork(t *testing.T) {
	w := start(t)
	n := 0
	for path, item := range model(t).Paths.PathItems.FromOldest() {
		if item.Post == nil {
			continue
		}
		for name, example := range item.Post.RequestBody.Content.GetOrZero("application/json").Examples.FromOldest() {
			var value any
			if err := example.Value.Decode(&value); err != nil {
				t.Fatal(err)
			}
			body, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			n++
			if a := w.do("POST", path, string(body)); a.status/100 != 2 {
				t.Errorf("%s, example %s: %d %s", path, name, a.status, a.body)
			}
		}
	}
	if n < 3 {
		t.Errorf("only %d examples", n)
	}
}

// The document that is served is the one that is tested.
func TestDocumentIsServed(t *testing.T) {
	w := start(t)
	for _, path := range []string{"/openapi.yaml", DefaultBasePath + "/openapi.yaml"} {
		a := w.doAt(path, "GET", "", header("Authorization", ""))
		if a.status != http.StatusOK || a.body != string(document) || a.header.Get("Content-Type") != "application/yaml" {
			t.Errorf("%s: %d, %d octets of %q", path, a.status, len(a.body), a.header.Get("Content-Type"))
		}
	}
}
