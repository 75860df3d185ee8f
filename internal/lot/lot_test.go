package lot

import (
	"fmt"
	"testing"
)

// Carriers with weights come in the place of the first of them, the first of them in proportion to its weight. The
// others keep their place.
func TestOrder(t *testing.T) {
	weights := map[string]int{"b": 3, "d": 1}
	weight := func(c string) int { return weights[c] }
	const rounds = 4000
	seen := make(map[string]int)
	for range rounds {
		seen[fmt.Sprint(Order([]string{"a", "b", "c", "d", "e"}, weight))]++
	}
	first := seen["[a b d c e]"]
	if len(seen) != 2 || first < rounds*70/100 || first > rounds*80/100 || first+seen["[a d b c e]"] != rounds {
		t.Errorf("orders %v", seen)
	}
}

func TestOrderWithoutWeights(t *testing.T) {
	carriers := []string{"a", "b", "c"}
	for _, weights := range []map[string]int{nil, {"b": 5}} {
		if got := fmt.Sprint(Order(carriers, func(c string) int { return weights[c] })); got != "[a b c]" {
			t.Errorf("%v: %s", weights, got)
		}
	}
}
