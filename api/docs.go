package api

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// docsFiles is the page that renders the document: Swagger UI, and the two files that start it.
//
//go:embed docs
var docsFiles embed.FS

// docsPolicy lets the page load and call this host only, and run no inline script (Content Security
// Policy Level 3). Swagger UI's style sheet has images as data: URLs.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docs are the files of the page, by their names in lower case.
type docs map[string]static

// newDocs reads the files of the page, which finds the document under the base path.
func newDocs(base string) (docs, error) {
	d := docs{}
	err := fs.WalkDir(docsFiles, "docs", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := docsFiles.ReadFile(name)
		if path.Ext(name) == ".html" {
			body = bytes.ReplaceAll(body, []byte("BASE/"), []byte(base+"/"))
		}
		d[strings.ToLower(path.Base(name))] = newStatic(docsType(name), body)
		return err
	})
	return d, err
}

// docsType returns the media type of a file. The system's table of types is not asked: it may differ.
func docsType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	}
	return "text/plain; charset=utf-8"
}

// routes are those of the page; none where there is no page. The document does not describe them.
func (d docs) routes() []route {
	if d == nil {
		return nil
	}
	return []route{
		{method: "GET", path: "/docs", public: true, serve: d.serve},
		{method: "GET", path: "/docs/{file}", public: true, serve: d.serve},
	}
}

func (d docs) serve(x *exchange) error {
	name := x.r.PathValue("file")
	if name == "" {
		name = "index.html"
	}
	file, ok := d[name]
	if !ok {
		return newProblem(http.StatusNotFound, "There is no such file.")
	}
	h := x.Header()
	h.Set("Content-Security-Policy", docsPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	return file.serve(x)
}
