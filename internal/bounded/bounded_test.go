package bounded

import "testing"

// TestMap: the map is bounded, and keeps what is in use.
func TestMap(t *testing.T) {
	m := New[int, string](10)
	m.Put(-1, "in use")
	for n := range 1000 {
		m.Put(n, "x")
		if v, ok := m.Get(-1); !ok || v != "in use" {
			t.Fatalf("after %d: %q, %v", n, v, ok)
		}
		if m.Len() > 20 {
			t.Fatalf("%d entries", m.Len())
		}
	}
	if _, ok := m.Get(0); ok {
		t.Error("an old entry is there")
	}
	made := 0
	for range 3 {
		if v := m.GetOr(5000, func() string { made++; return "made" }); v != "made" {
			t.Error(v)
		}
	}
	if made != 1 {
		t.Errorf("made %d times", made)
	}
}
