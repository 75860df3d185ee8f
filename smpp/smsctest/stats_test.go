package smsctest

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func TestPage(t *testing.T) {
	s := listen(t, Profile{})
	e := transceiver(t, s)
	e.submit(number, "a secret code")
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()

	var st Stats
	if err := json.Unmarshal([]byte(get(t, srv, "/stats.json")), &st); err != nil || st.Taken != 1 || st.BindsNow != 1 {
		t.Errorf("%+v, %v", st, err)
	}
	page := get(t, srv, "/")
	for _, want := range []string{s.Addr(), `<td>taken</td><td class="n">1</td>`, "bind_transceiver", "<td>test</td>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, number) || strings.Contains(page, "secret") {
		t.Error("the page shows a number or a text")
	}
}

func get(t *testing.T, srv *httptest.Server, path string) string {
	t.Helper()
	resp, err := srv.Client().Get(srv.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %v, %v", path, resp.Status, err)
	}
	return string(b)
}

func TestStatsHaveEveryCounter(t *testing.T) {
	n := &counters{}
	v := reflect.ValueOf(&n.Stats).Elem()
	for i := range v.NumField() {
		n.add(v.Field(i).Addr().Interface().(*uint64), i+1)
	}
	if got := n.stats(); got != n.Stats || got.Outages != uint64(v.NumField()) {
		t.Errorf("%+v, want %+v", got, n.Stats)
	}
}
