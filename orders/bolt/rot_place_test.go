package bolt

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"
)

// TestRottenPlace changes where one record of a page begins, or how long it is. bbolt finds records by halves, so this may
// lead its search past many others.
func TestRottenPlace(t *testing.T) {
	t.Parallel()
	path, ids := aged(t, 300)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var leaves []int // with records enough for a search
	for _, page := range usedPages(t, path) {
		at := page * os.Getpagesize()
		if kind, count := binary.NativeEndian.Uint16(whole[at+8:]), binary.NativeEndian.Uint16(whole[at+10:]); kind&3 != 0 && count > 20 && count < 300 {
			leaves = append(leaves, at)
		}
	}
	copied := path + ".rotten"
	for range *rots {
		page := leaves[rand.IntN(len(leaves))]
		count := int(binary.NativeEndian.Uint16(whole[page+10:]))
		element := count / 2 >> rand.IntN(4) // where a search looks first
		if at := page + 16 + 16*element + 4 + rand.IntN(12); !rotsRight(t, whole, at, copied, ids) {
			t.Logf("of element %d", element)
		}
	}
}
