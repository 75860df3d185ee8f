package smsctest

import (
	"encoding/json"
	"html/template"
	"net/http"
	"reflect"
)

// Handler serves the counters: "GET /" for people, "GET /stats.json" for
// programs. Neither shows a number or a text.
func (s *SMSC) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, s.report()) // the client went away
	})
	mux.HandleFunc("GET /stats.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.Stats())
	})
	return mux
}

type report struct {
	Addr     string
	Counters []row
	Binds    []Bind
}

type row struct {
	Name  string
	Value uint64
}

// report lists the fields of Stats by their JSON names.
func (s *SMSC) report() report {
	r := report{Addr: s.Addr(), Binds: s.Binds()}
	v := reflect.ValueOf(s.Stats())
	for i := range v.NumField() {
		r.Counters = append(r.Counters, row{v.Type().Field(i).Tag.Get("json"), v.Field(i).Uint()})
	}
	return r
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<title>SMSC simulator {{.Addr}}</title>
<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 0}
td,th{padding:2px 12px;text-align:left;border-bottom:1px solid #ddd}td.n{text-align:right}</style>
<h1>SMSC simulator on {{.Addr}}</h1>
<table>{{range .Counters}}<tr><td>{{.Name}}</td><td class="n">{{.Value}}</td></tr>
{{end}}</table>
<h2>Binds</h2>
<table><tr><th>number</th><th>system_id</th><th>kind</th><th>from</th><th>since</th></tr>
{{range .Binds}}<tr><td class="n">{{.ID}}</td><td>{{.SystemID}}</td><td>{{.Kind}}</td><td>{{.Remote}}</td><td>{{.Since.Format "15:04:05"}}</td></tr>
{{end}}</table>
</html>
`))
